-- Monitoring: every ticket type whose books do not add up. Empty when all is well.
--
-- The query published with the story compares a count with itself plus the counter and can only be true
-- of a negative counter. This one compares with what there is to sell.

create or replace view public.oversold_tickets with (security_invoker = true) as
select books.ticket_id,
       books.event_id,
       books.name,
       books.quantity_initial,
       books.quantity_available,
       books.standing,
       books.standing + books.held + books.quantity_available - books.quantity_initial as difference,
       case when books.standing + books.held + books.quantity_available > books.quantity_initial
            then 'oversold' else 'leaked' end as problem,
       books.held
  from (select t.id as ticket_id,
               t.event_id,
               t.name,
               t.quantity_initial,
               t.quantity_available,
               (select count(*) from public.rsvps r
                 where r.ticket_id = t.id and r.status = 'confirmed') as standing,
               (select count(*) from public.rsvps r
                 where r.ticket_id = t.id and r.status = 'held') as held
          from public.tickets t) as books
 where books.standing + books.held + books.quantity_available <> books.quantity_initial;

comment on view public.oversold_tickets is
    'Tickets whose standing RSVPs, holds and remaining quantity do not add up to the initial quantity.';

revoke all on table public.oversold_tickets from public, anon, authenticated, service_role;
grant select on table public.oversold_tickets to service_role;

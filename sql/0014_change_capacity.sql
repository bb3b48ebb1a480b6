-- Changing how many there are to sell, while the sale is on.
--
-- Never below what is sold and held. quantity_initial and quantity_available move together, so the books add
-- up as before; what is new goes first to those who wait. Lock order as in 0006: the ticket, and no person.

create or replace function public.change_capacity(p_ticket_id text, p_capacity integer)
returns public.tickets
language plpgsql volatile security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    ticket public.tickets;
    taken  integer;
    served integer;
begin
    if p_capacity is null or p_capacity < 0 then
        raise exception using errcode = 'OS004', message = 'The capacity must be 0 or more.';
    end if;
    select t.* into ticket from public.tickets t where t.id = p_ticket_id for no key update;
    if not found then
        raise exception using errcode = 'OS005', message = format('There is no ticket %L.', p_ticket_id);
    end if;
    taken := ticket.quantity_initial - ticket.quantity_available;
    if p_capacity < taken then
        raise exception using errcode = 'OS004',
            message = format('Of ticket %L %s are sold or held; the capacity cannot be %s.',
                             p_ticket_id, taken, p_capacity);
    end if;

    served := public.hand_over(ticket, p_capacity - taken);
    update public.tickets t
       set quantity_initial = p_capacity,
           quantity_available = p_capacity - taken - served
     where t.id = p_ticket_id
    returning t.* into ticket;
    return ticket;
end
$$;

-- For the organizer's service only.
revoke all on function public.change_capacity(text, integer) from public, anon, authenticated;
grant execute on function public.change_capacity(text, integer) to service_role;

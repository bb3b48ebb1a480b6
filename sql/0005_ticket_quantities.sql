-- The three functions of the story: take one, give one back, say what is left. And, for the other functions
-- only, what becomes of a ticket that comes back.
--
-- All functions that somebody may call run with the rights of their owner (security definer), so that
-- callers need none on the tables. Two precautions follow: a fixed search_path with pg_temp last, or a
-- caller could slip in objects of his own; and EXECUTE taken from PUBLIC, anon and authenticated, because
-- Postgres gives it to PUBLIC and Supabase to all three roles whenever a function is created.
--
-- Parameters keep the story's names. They are written function.parameter wherever a column could be meant.

create or replace function public.decrement_ticket_quantity(ticket_id text)
returns public.tickets
language plpgsql volatile security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    taken public.tickets;
begin
    -- One statement. Whoever waits for the row lock here sees the row as the winner left it: Postgres
    -- evaluates the WHERE clause again on the new version (READ COMMITTED) or raises 40001 (above).
    update public.tickets t
       set quantity_available = t.quantity_available - 1
     where t.id = decrement_ticket_quantity.ticket_id
       and t.quantity_available > 0
    returning t.* into taken;
    if found then
        return taken;
    end if;

    if exists (select from public.tickets t where t.id = decrement_ticket_quantity.ticket_id) then
        raise exception using errcode = 'OS001',
            message = format('Ticket %L is sold out.', decrement_ticket_quantity.ticket_id);
    end if;
    raise exception using errcode = 'OS005',
        message = format('There is no ticket %L.', decrement_ticket_quantity.ticket_id);
end
$$;

-- Who waits in line for a ticket is served in the transaction that makes it free, so that nobody can slip in
-- before them: whoever gets the ticket's lock next finds nothing free. Called with the ticket's row locked.
-- The rows of a line change only under that lock, hence nobody waits here for one of them.
create or replace function public.hand_over(p_ticket public.tickets, p_free integer)
returns integer
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $$
declare
    served integer;
begin
    -- After the deadline nothing is sold, not to those who wait either.
    if p_free <= 0 or p_ticket.purchase_deadline <= clock_timestamp() then
        return 0;
    end if;
    update public.rsvps r
       set status = 'confirmed',
           created_at = clock_timestamp(),
           price_paid = p_ticket.price,
           waiting_number = null
     where r.id in (select w.id
                      from public.rsvps w
                     where w.ticket_id = p_ticket.id
                       and w.status = 'waiting'
                     order by w.waiting_number
                     limit p_free);
    get diagnostics served = row_count;
    return served;
end
$$;

create or replace function public.give_back(p_ticket_id text, p_units integer)
returns public.tickets
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $$
declare
    ticket public.tickets;
    served integer;
begin
    select t.* into ticket from public.tickets t where t.id = p_ticket_id for no key update;
    served := public.hand_over(ticket, ticket.quantity_available + p_units);
    -- Also when nothing remains of it: under REPEATABLE READ whoever waits for this lock and served the line
    -- as it was before would do harm, and only a changed row has them raise 40001. If this would exceed
    -- quantity_initial the books are wrong already; the constraint says so.
    update public.tickets t
       set quantity_available = ticket.quantity_available + p_units - served
     where t.id = p_ticket_id
    returning t.* into ticket;
    return ticket;
end
$$;

create or replace function public.increment_ticket_quantity(ticket_id text)
returns public.tickets
language plpgsql volatile security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    ticket public.tickets;
    taken  bigint;
begin
    select t.* into ticket
      from public.tickets t
     where t.id = increment_ticket_quantity.ticket_id
       for no key update;
    if not found then
        raise exception using errcode = 'OS005',
            message = format('There is no ticket %L.', increment_ticket_quantity.ticket_id);
    end if;

    -- Give back only what is missing from the books: neither more than there ever was, nor a ticket that
    -- somebody has. Counted after the row is locked: every create_rsvp that has taken one has either
    -- committed, and its row is counted, or is waited for above.
    select count(*) into taken
      from public.rsvps r
     where r.ticket_id = increment_ticket_quantity.ticket_id
       and r.status in ('held', 'confirmed');
    if ticket.quantity_available + taken >= ticket.quantity_initial then
        raise exception using errcode = 'OS004',
            message = format('Nothing to give back for ticket %L: %s available and %s sold or held of %s.',
                             ticket.id, ticket.quantity_available, taken, ticket.quantity_initial);
    end if;
    return public.give_back(ticket.id, 1);
end
$$;

-- One statement, hence one snapshot: available and sold belong to the same moment.
create or replace function public.get_ticket_availability(event_id_param bigint)
returns table (id text, name text, price numeric, available integer, sold bigint, deadline timestamptz)
language sql stable security definer
set search_path = pg_catalog, pg_temp
as $$
    select t.id,
           t.name,
           t.price,
           t.quantity_available,
           (select count(*) from public.rsvps r where r.ticket_id = t.id and r.status = 'confirmed'),
           t.purchase_deadline
      from public.tickets t
     where t.event_id = get_ticket_availability.event_id_param
     order by t.name, t.id
$$;

-- Nobody but the functions themselves.
revoke all on function public.hand_over(public.tickets, integer) from public, anon, authenticated, service_role;
revoke all on function public.give_back(text, integer) from public, anon, authenticated, service_role;

revoke all on function public.decrement_ticket_quantity(text) from public, anon, authenticated;
revoke all on function public.increment_ticket_quantity(text) from public, anon, authenticated;
revoke all on function public.get_ticket_availability(bigint) from public;
grant execute on function public.decrement_ticket_quantity(text) to service_role;
grant execute on function public.increment_ticket_quantity(text) to service_role;
grant execute on function public.get_ticket_availability(bigint) to anon, authenticated, service_role;

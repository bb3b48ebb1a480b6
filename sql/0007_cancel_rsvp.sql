-- Cancelling, which gives back exactly once.
--
-- Lock order as in 0006: the RSVP, then the ticket.

create or replace function public.cancel_rsvp(p_rsvp_id uuid)
returns public.rsvps
language plpgsql volatile security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    cancelled public.rsvps;
begin
    -- The change of status is the right to give back. Of two cancellers at once the second waits here and
    -- then finds that the row no longer matches.
    update public.rsvps r
       set status = 'cancelled', cancelled_at = clock_timestamp()
     where r.id = p_rsvp_id
       and r.status = 'confirmed'
    returning r.* into cancelled;

    if found then
        -- If this would exceed quantity_initial the books are wrong already; the constraint says so.
        update public.tickets t
           set quantity_available = t.quantity_available + 1
         where t.id = cancelled.ticket_id;
        return cancelled;
    end if;

    -- Asked again, perhaps because the first answer was lost: the same answer, and nothing given back.
    select r.* into cancelled from public.rsvps r where r.id = p_rsvp_id;
    if not found then
        raise exception using errcode = 'OS005', message = format('There is no RSVP %L.', p_rsvp_id);
    end if;
    return cancelled;
end
$$;

-- Not for anon and authenticated: whoever learns an id could cancel somebody else's RSVP.
revoke all on function public.cancel_rsvp(uuid) from public, anon, authenticated;
grant execute on function public.cancel_rsvp(uuid) to service_role;

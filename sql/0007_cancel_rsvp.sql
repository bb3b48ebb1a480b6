-- Cancelling, which gives back exactly once; what comes back goes to those who wait.
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
        perform public.give_back(cancelled.ticket_id, 1);
        return cancelled;
    end if;

    -- Asked again, perhaps because the first answer was lost: the same answer, and nothing given back.
    select r.* into cancelled from public.rsvps r where r.id = p_rsvp_id and r.status = 'cancelled';
    if not found then
        raise exception using errcode = 'OS005', message = format('There is no RSVP %L.', p_rsvp_id);
    end if;
    return cancelled;
end
$$;

-- The same for somebody of whom it is known who they are: nobody cancels somebody else's. Whose an RSVP is
-- never changes, so that looking first is enough.
create or replace function public.cancel_rsvp(p_rsvp_id uuid, p_user_id text)
returns public.rsvps
language plpgsql volatile security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    owner text;
begin
    if coalesce(btrim(p_user_id), '') = '' then
        raise exception using errcode = 'OS004', message = 'A user id is missing.';
    end if;
    select r.user_id into owner from public.rsvps r where r.id = p_rsvp_id;
    if owner <> p_user_id then
        raise exception using errcode = 'OS006',
            message = format('The RSVP %L is somebody else''s.', p_rsvp_id);
    end if;
    return public.cancel_rsvp(p_rsvp_id);
end
$$;

-- Not for anon and authenticated: whoever learns an id could cancel somebody else's RSVP, and say who they are.
revoke all on function public.cancel_rsvp(uuid) from public, anon, authenticated;
revoke all on function public.cancel_rsvp(uuid, text) from public, anon, authenticated;
grant execute on function public.cancel_rsvp(uuid) to service_role;
grant execute on function public.cancel_rsvp(uuid, text) to service_role;

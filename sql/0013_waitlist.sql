-- The waiting list: who waits in line for a sold-out ticket is served, in order, by whatever gives one back.
--
-- Standing in line is a row of rsvps, as an RSVP or a hold is: it occupies the person's place at the event, so
-- that serving the line, which happens under the ticket's lock, never has to wait for a person (lock order:
-- 0006), and nobody can be found to have an RSVP when their turn comes. Who wants another ticket of the event
-- meanwhile leaves the line first.
--
-- A line changes only under its ticket's lock, and a ticket that somebody waits for has nothing available:
-- joining is refused while there is something, and what comes back is handed over before it is free (0005).
-- Whoever changes tickets by hand (the deadline, or the quantities) calls change_capacity afterwards,
-- which serves those who wait.

-- Drawn under the ticket's lock, hence in the order in which places in its line commit.
create sequence if not exists public.waiting_numbers;
revoke all on sequence public.waiting_numbers from public, anon, authenticated, service_role;

create or replace view public.waitlist with (security_invoker = true) as
select r.id, r.event_id, r.ticket_id, r.user_id, r.name, r.email, r.waiting_number as number,
       r.created_at as joined_at
  from public.rsvps r
 where r.status = 'waiting';

comment on view public.waitlist is 'Who waits for which ticket; the smallest number is served first.';

revoke all on table public.waitlist from public, anon, authenticated, service_role;
grant select on table public.waitlist to authenticated, service_role;

create or replace function public.join_waitlist(
    p_event_id   bigint,
    p_user_id    text,
    p_name       text,
    p_email      text,
    p_ticket_id  text,
    out place    public.waitlist,
    out "position" integer
)
language plpgsql volatile security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    problem text;
    seen    record;
    joined  uuid;
    ticket  public.tickets;
begin
    problem := case
        when p_event_id is null then 'An event is missing.'
        when coalesce(p_ticket_id, '') = '' then 'A ticket is missing.'
        else public.person_problem(p_user_id, p_name, p_email)
    end;
    if problem is not null then
        raise exception using errcode = 'OS004', message = problem;
    end if;

    loop
        select (select r.status
                  from public.rsvps r
                 where r.event_id = p_event_id
                   and r.user_id = p_user_id
                   and r.status in ('waiting', 'held', 'confirmed')) as place
          into seen
          from public.tickets t
         where t.id = p_ticket_id
           and t.event_id = p_event_id;
        if not found then
            raise exception using errcode = 'OS005',
                message = format('Event %s has no ticket %L.', p_event_id, p_ticket_id);
        end if;
        if seen.place is not null then
            raise exception using errcode = 'OS002', message = format(
                case seen.place when 'waiting' then 'This person already waits in line for a ticket of event %s.'
                                when 'held' then 'This person already has a hold for event %s.'
                                else 'This person already has an RSVP for event %s.' end, p_event_id);
        end if;

        -- First lock: the person. Last in line until the number is drawn.
        insert into public.rsvps as r (event_id, ticket_id, user_id, name, email, status, waiting_number)
        values (p_event_id, p_ticket_id, p_user_id, p_name, p_email, 'waiting', 9223372036854775807)
        on conflict (event_id, user_id) where status in ('waiting', 'held', 'confirmed') do nothing
        returning r.id into joined;
        exit when found;
    end loop;

    -- Second lock: the ticket. Changed, though to what it was: under REPEATABLE READ somebody who gives back
    -- and has not seen this place must not find the row as it was.
    update public.tickets t
       set quantity_available = t.quantity_available
     where t.id = p_ticket_id
    returning t.* into ticket;
    if ticket.purchase_deadline <= clock_timestamp() then
        raise exception using errcode = 'OS003',
            message = format('The sale of ticket %L has ended.', p_ticket_id);
    end if;
    if ticket.quantity_available > 0 then
        raise exception using errcode = 'OS004',
            message = format('Ticket %L is not sold out: there is nothing to wait for.', p_ticket_id);
    end if;

    update public.rsvps r set waiting_number = nextval('public.waiting_numbers') where r.id = joined;
    select w.* into place from public.waitlist w where w.id = joined;
    select count(*) into "position"
      from public.waitlist w
     where w.ticket_id = p_ticket_id
       and w.number <= place.number;
end
$$;

-- A person waits in one line of an event at most; who names a ticket leaves that ticket's line and no other.
create or replace function public.leave_waitlist(
    p_event_id  bigint,
    p_user_id   text,
    p_ticket_id text default null
)
returns public.waitlist
language plpgsql volatile security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    place public.waitlist;
begin
    select w.* into place
      from public.waitlist w
     where w.event_id = p_event_id
       and w.user_id = p_user_id
       and w.ticket_id = coalesce(p_ticket_id, w.ticket_id);
    if found then
        -- The ticket's lock protects its line. Who was served before it was ours waits no more.
        perform from public.tickets t where t.id = place.ticket_id for no key update;
        delete from public.rsvps r where r.id = place.id and r.status = 'waiting';
    end if;
    if not found then
        raise exception using errcode = 'OS005',
            message = format('This person does not wait in line for a ticket of event %s.', p_event_id);
    end if;
    return place;
end
$$;

-- As with create_rsvp: whoever may call these acts in everybody's name.
revoke all on function public.join_waitlist(bigint, text, text, text, text) from public, anon, authenticated;
revoke all on function public.leave_waitlist(bigint, text, text) from public, anon, authenticated;
grant execute on function public.join_waitlist(bigint, text, text, text, text) to service_role;
grant execute on function public.leave_waitlist(bigint, text, text) to service_role;

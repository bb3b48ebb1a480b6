-- Holds: a ticket set aside for somebody who pays. Confirmed in time it becomes an RSVP, under the same id;
-- released, or when its time has run out, the ticket goes back.
--
-- Lock order as in 0006. A hold is a row of rsvps, the person's place, and that row decides: whoever locks it
-- first confirms, releases or expires it, and the others find that it is not held any more.
--
-- Expired holds go back when expire_holds is called, and not before: a hold that has run out and was not yet
-- swept can no longer be confirmed, and still keeps its ticket and its person's place. Call it every few
-- seconds. A purchase that swept on its way would have to lock other people's places after its own.

create or replace view public.holds with (security_invoker = true) as
select r.id, r.event_id, r.ticket_id, r.user_id,
       case r.status when 'cancelled' then 'confirmed' else r.status end as status,
       r.expires_at
  from public.rsvps r
 where r.expires_at is not null;

comment on view public.holds is
    'What is or was set aside; status: held, then confirmed, released or expired.';

revoke all on table public.holds from public, anon, authenticated, service_role;
grant select on table public.holds to authenticated, service_role;

create or replace function public.create_hold(
    p_event_id    bigint,
    p_user_id     text,
    p_ticket_id   text,
    p_seconds     integer default 600,
    out hold      public.holds,
    out remaining integer
)
language plpgsql volatile security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    problem text;
    held    uuid;
    ticket  public.tickets;
begin
    problem := case
        when p_event_id is null then 'An event is missing.'
        when coalesce(p_ticket_id, '') = '' then 'A ticket is missing.'
        when p_seconds is null or p_seconds not between 1 and 86400 then 'A hold lasts from 1 second to a day.'
        -- Name and email come with the confirmation.
        else public.person_problem(p_user_id, 'x', 'x@x')
    end;
    if problem is not null then
        raise exception using errcode = 'OS004', message = problem;
    end if;

    loop
        perform public.admit(p_event_id, p_user_id, p_ticket_id);
        insert into public.rsvps as r (event_id, ticket_id, user_id, name, email, status, expires_at)
        values (p_event_id, p_ticket_id, p_user_id, '', '', 'held', 'infinity')
        on conflict (event_id, user_id) where status in ('waiting', 'held', 'confirmed') do nothing
        returning r.id into held;
        exit when found;
    end loop;

    ticket := public.decrement_ticket_quantity(p_ticket_id);
    if ticket.purchase_deadline <= clock_timestamp() then
        raise exception using errcode = 'OS003',
            message = format('The sale of ticket %L has ended.', p_ticket_id);
    end if;

    -- Its time begins once the ticket is there, and ends with the sale: nothing is confirmed after that.
    update public.rsvps r
       set price_paid = ticket.price,
           expires_at = least(clock_timestamp() + make_interval(secs => p_seconds), ticket.purchase_deadline)
     where r.id = held;
    select h.* into hold from public.holds h where h.id = held;
    remaining := ticket.quantity_available;
end
$$;

create or replace function public.confirm_hold(
    p_hold_id           uuid,
    p_name              text,
    p_email             text,
    p_payment_proof_url text default null,
    out rsvp            public.rsvps,
    out remaining       integer
)
language plpgsql volatile security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    problem text;
begin
    problem := case
        when p_hold_id is null then 'A hold is missing.'
        when p_payment_proof_url = '' then 'The payment proof URL is empty.'
        when length(p_payment_proof_url) > 2048 then 'The payment proof URL is longer than 2048 characters.'
        else public.person_problem('x', p_name, p_email)
    end;
    if problem is not null then
        raise exception using errcode = 'OS004', message = problem;
    end if;

    select r.* into rsvp
      from public.rsvps r
     where r.id = p_hold_id
       and r.expires_at is not null
       for no key update;
    if not found then
        raise exception using errcode = 'OS005', message = format('There is no hold %L.', p_hold_id);
    end if;

    -- Judged now that the row is ours, whatever the sweeper has done or not done: neither the wait for the row
    -- nor the age of the transaction buys time.
    if rsvp.status = 'expired' or (rsvp.status = 'held' and rsvp.expires_at <= clock_timestamp()) then
        raise exception using errcode = 'OS007', message = format('The hold %L has run out.', p_hold_id);
    end if;
    if rsvp.status = 'released' then
        raise exception using errcode = 'OS004', message = format('The hold %L was released.', p_hold_id);
    end if;
    if rsvp.status = 'cancelled' then
        raise exception using errcode = 'OS004',
            message = format('The RSVP that the hold %L became was cancelled.', p_hold_id);
    end if;

    -- Confirmed already: asked again, perhaps because the first answer was lost. The same answer.
    if rsvp.status = 'held' then
        update public.rsvps r
           set status = 'confirmed',
               created_at = clock_timestamp(),
               name = p_name,
               email = p_email,
               payment_proof_url = p_payment_proof_url
         where r.id = p_hold_id
        returning r.* into rsvp;
    end if;
    select t.quantity_available into remaining from public.tickets t where t.id = rsvp.ticket_id;
end
$$;

create or replace function public.release_hold(p_hold_id uuid)
returns public.holds
language plpgsql volatile security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    ended public.rsvps;
    hold  public.holds;
begin
    select r.* into ended
      from public.rsvps r
     where r.id = p_hold_id
       and r.expires_at is not null
       for no key update;
    if not found then
        raise exception using errcode = 'OS005', message = format('There is no hold %L.', p_hold_id);
    end if;
    if ended.status in ('confirmed', 'cancelled') then
        raise exception using errcode = 'OS004',
            message = format('The hold %L was confirmed; cancel the RSVP instead.', p_hold_id);
    end if;

    -- Released already, or run out: nothing left to give back, and nothing to complain of.
    if ended.status = 'held' then
        update public.rsvps r set status = 'released' where r.id = p_hold_id;
        perform public.give_back(ended.ticket_id, 1);
    end if;
    select h.* into hold from public.holds h where h.id = p_hold_id;
    return hold;
end
$$;

-- The sweeper. First the places of all holds that have run out, in the order of everybody, then their tickets.
--
-- It waits for who is just confirming or releasing one of them rather than passing over it: after it every
-- hold that had run out when it was called is gone. They wait for nothing that it has.
create or replace function public.expire_holds(p_limit integer default 1000)
returns integer
language plpgsql volatile security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    moment timestamptz := clock_timestamp();
    over   uuid[];
    due    record;
begin
    if p_limit is null or p_limit < 1 then
        raise exception using errcode = 'OS004', message = 'The limit must be at least 1.';
    end if;

    select array_agg(locked.id)
      into over
      from (select r.id
              from public.rsvps r
             where r.status = 'held'
               and r.id in (select h.id
                              from public.rsvps h
                             where h.status = 'held'
                               and h.expires_at <= moment
                             order by h.expires_at
                             limit p_limit)
             order by r.event_id, r.user_id collate "C"
               for no key update of r) as locked;

    for due in
        with expired as (
            update public.rsvps r set status = 'expired' where r.id = any (over) returning r.ticket_id
        )
        select e.ticket_id, count(*)::integer as units
          from expired e
         group by e.ticket_id
         order by e.ticket_id collate "C"
    loop
        perform public.give_back(due.ticket_id, due.units);
    end loop;
    return coalesce(cardinality(over), 0);
end
$$;

-- As with create_rsvp: whoever may call these acts in everybody's name.
revoke all on function public.create_hold(bigint, text, text, integer) from public, anon, authenticated;
revoke all on function public.confirm_hold(uuid, text, text, text) from public, anon, authenticated;
revoke all on function public.release_hold(uuid) from public, anon, authenticated;
revoke all on function public.expire_holds(integer) from public, anon, authenticated;
grant execute on function public.create_hold(bigint, text, text, integer) to service_role;
grant execute on function public.confirm_hold(uuid, text, text, text) to service_role;
grant execute on function public.release_hold(uuid) to service_role;
grant execute on function public.expire_holds(integer) to service_role;

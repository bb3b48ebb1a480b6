-- The whole purchase in one transaction.
--
-- Lock order, the same in every function that writes:
--
--   1. people's places at the event (a row of rsvps, or its key in the unique index); of several people in the
--      order of event and user id;
--   2. tickets, in the order of their ids;
--   3. under a ticket's lock, the rows of those who wait in line for it. Nobody changes them otherwise, so
--      there is nothing to wait for.
--
--   * Buyers and cancellers of one person meet at the first lock and never hold a ticket while they wait
--     there. Whoever holds a ticket waits for nothing but tickets after it. Hence no cycle, hence no deadlock.
--     (Ticket first and person second would close one: the buyer holds the ticket and waits for the key of an
--     RSVP being cancelled, the canceller holds that RSVP and waits for the ticket.)
--   * Somebody refused as a duplicate has never touched the ticket.
--   * The hot row stays locked only from the decrement to the commit.
--
-- A caller who calls several functions in one transaction keeps the locks of each and has to see to the order
-- himself: people by id, one ticket or tickets by id, and nobody's place after a ticket.
--
-- REPEATABLE READ and SERIALIZABLE: waiting for a row or a key that then changed raises 40001. Nothing
-- here catches it; the caller runs the transaction again.

-- What is wrong with somebody who wants an RSVP; null when nothing is.
create or replace function public.person_problem(p_user_id text, p_name text, p_email text)
returns text
language plpgsql immutable
set search_path = pg_catalog, pg_temp
as $$
begin
    return case
        when coalesce(btrim(p_user_id), '') = '' then 'A user id is missing.'
        when length(p_user_id) > 200 then 'The user id is longer than 200 characters.'
        when coalesce(btrim(p_name), '') = '' then 'A name is missing.'
        when length(p_name) > 200 then 'The name is longer than 200 characters.'
        when coalesce(p_email, '') !~ '^[^@[:space:]]+@[^@[:space:]]+$' then 'The email is not an address.'
        when length(p_email) > 320 then 'The email is longer than 320 characters.'
    end;
end
$$;

-- A look without locks, which answers most of a rush cheaply: raises whatever speaks against selling so many
-- units of the ticket for this person, and returns the price. It is one statement, hence one snapshot: if
-- they took the last ticket, either both show or neither does, so that "sold out" is never the answer to
-- somebody who has an RSVP.
create or replace function public.admit(
    p_event_id  bigint,
    p_user_id   text,
    p_ticket_id text,
    p_units     integer default 1,
    p_who       text default 'This person'
)
returns numeric
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $$
declare
    seen record;
begin
    select t.price,
           t.quantity_available,
           t.purchase_deadline,
           (select r.status
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
    if seen.place in ('held', 'confirmed') then
        raise exception using errcode = 'OS002',
            message = format('%s already has %s for event %s.', p_who,
                             case seen.place when 'held' then 'a hold' else 'an RSVP' end, p_event_id);
    end if;
    if seen.purchase_deadline <= clock_timestamp() then
        raise exception using errcode = 'OS003',
            message = format('The sale of ticket %L has ended.', p_ticket_id);
    end if;
    if seen.quantity_available < p_units then
        raise exception using errcode = 'OS001', message = case
            when p_units = 1 then format('Ticket %L is sold out.', p_ticket_id)
            else format('Of ticket %L %s are left, not %s.', p_ticket_id, seen.quantity_available, p_units) end;
    end if;
    -- Who waits has the place that they would buy for. They are asked, not guessed at: the ticket they wait for
    -- may be dearer to them.
    if seen.place = 'waiting' then
        raise exception using errcode = 'OS004',
            message = format('%s waits in line for a ticket of event %s; leave the line first.',
                             p_who, p_event_id);
    end if;
    return seen.price;
end
$$;

create or replace function public.create_rsvp(
    p_event_id          bigint,
    p_user_id           text,
    p_name              text,
    p_email             text,
    p_ticket_id         text,
    p_payment_proof_url text default null,
    out rsvp            public.rsvps,
    out remaining       integer
)
language plpgsql volatile security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    problem text;
    price   numeric;
    ticket  public.tickets;
begin
    problem := case
        when p_event_id is null then 'An event is missing.'
        when coalesce(p_ticket_id, '') = '' then 'A ticket is missing.'
        when p_payment_proof_url = '' then 'The payment proof URL is empty.'
        when length(p_payment_proof_url) > 2048 then 'The payment proof URL is longer than 2048 characters.'
        else public.person_problem(p_user_id, p_name, p_email)
    end;
    if problem is not null then
        raise exception using errcode = 'OS004', message = problem;
    end if;

    -- First lock: the person. Waits for whoever is doing something for the same person and event; a unique
    -- violation becomes "no row" without an exception block, hence without a subtransaction. Then another
    -- look tells what is in the way, or finds that it has just gone.
    loop
        price := public.admit(p_event_id, p_user_id, p_ticket_id);
        insert into public.rsvps as r (event_id, ticket_id, user_id, name, email, payment_proof_url, price_paid)
        values (p_event_id, p_ticket_id, p_user_id, p_name, p_email, p_payment_proof_url, price)
        on conflict (event_id, user_id) where status in ('waiting', 'held', 'confirmed') do nothing
        returning r.* into rsvp;
        exit when found;
    end loop;

    -- Second lock: the ticket. Raises OS001 when others were faster, which takes the row above back too.
    ticket := public.decrement_ticket_quantity(p_ticket_id);

    -- The deadline that counts is judged here. now() is the start of the transaction: a transaction opened
    -- in time could buy for ever. clock_timestamp() before the lock misses the time spent in the queue.
    -- Inside the UPDATE's WHERE it is evaluated before the wait, and not again if the row in front was
    -- rolled back. Here the row is ours: its deadline cannot be moved under us, and the queue is behind us.
    if ticket.purchase_deadline <= clock_timestamp() then
        raise exception using errcode = 'OS003',
            message = format('The sale of ticket %L has ended.', p_ticket_id);
    end if;

    -- So with the price, which seldom changes between the look and the lock.
    if ticket.price <> price then
        update public.rsvps r set price_paid = ticket.price where r.id = rsvp.id returning r.* into rsvp;
    end if;

    remaining := ticket.quantity_available;
end
$$;

-- Nobody but the functions themselves.
revoke all on function public.person_problem(text, text, text) from public, anon, authenticated, service_role;
revoke all on function public.admit(bigint, text, text, integer, text)
    from public, anon, authenticated, service_role;

-- Not for anon and authenticated: the person is an argument, so whoever may call this may buy in anybody's
-- name, and without the payment the service asks for.
revoke all on function public.create_rsvp(bigint, text, text, text, text, text) from public, anon, authenticated;
grant execute on function public.create_rsvp(bigint, text, text, text, text, text) to service_role;

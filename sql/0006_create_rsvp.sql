-- The whole purchase in one transaction.
--
-- Lock order, the same in every function that writes: first the person's place at the event (the row in
-- rsvps, or its key in the unique index), then the ticket.
--
--   * Buyers and cancellers of one person meet at the first lock and never hold a ticket while they wait
--     there. Whoever holds a ticket waits for nothing more. Hence no cycle, hence no deadlock. (Ticket
--     first and person second would close one: the buyer holds the ticket and waits for the key of an
--     RSVP being cancelled, the canceller holds that RSVP and waits for the ticket.)
--   * Somebody refused as a duplicate has never touched the ticket.
--   * The hot row stays locked only from the decrement to the commit.
--
-- A caller who buys several times in one transaction takes several tickets' locks and has to do so in one
-- order everywhere (say, by ticket id).
--
-- REPEATABLE READ and SERIALIZABLE: waiting for a row or a key that then changed raises 40001. Nothing
-- here catches it; the caller runs the transaction again.

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
    problem  text;
    seen     record;
    ticket   public.tickets;
begin
    problem := case
        when p_event_id is null then 'An event is missing.'
        when coalesce(p_ticket_id, '') = '' then 'A ticket is missing.'
        when coalesce(btrim(p_user_id), '') = '' then 'A user id is missing.'
        when length(p_user_id) > 200 then 'The user id is longer than 200 characters.'
        when coalesce(btrim(p_name), '') = '' then 'A name is missing.'
        when length(p_name) > 200 then 'The name is longer than 200 characters.'
        when coalesce(p_email, '') !~ '^[^@[:space:]]+@[^@[:space:]]+$' then 'The email is not an address.'
        when length(p_email) > 320 then 'The email is longer than 320 characters.'
        when p_payment_proof_url = '' then 'The payment proof URL is empty.'
        when length(p_payment_proof_url) > 2048 then 'The payment proof URL is longer than 2048 characters.'
    end;
    if problem is not null then
        raise exception using errcode = 'OS004', message = problem;
    end if;

    -- A look without locks, which answers most of a rush cheaply. It is one statement, hence one snapshot:
    -- if this person took the last ticket, either both show or neither does, so that "sold out" is never
    -- the answer to somebody who has an RSVP.
    select t.quantity_available,
           t.purchase_deadline,
           exists (select from public.rsvps r
                    where r.event_id = p_event_id
                      and r.user_id = p_user_id
                      and r.status = 'confirmed') as standing
      into seen
      from public.tickets t
     where t.id = p_ticket_id
       and t.event_id = p_event_id;
    if not found then
        raise exception using errcode = 'OS005',
            message = format('Event %s has no ticket %L.', p_event_id, p_ticket_id);
    end if;
    if seen.standing then
        raise exception using errcode = 'OS002',
            message = format('This person already has an RSVP for event %s.', p_event_id);
    end if;
    if seen.purchase_deadline <= clock_timestamp() then
        raise exception using errcode = 'OS003',
            message = format('The sale of ticket %L has ended.', p_ticket_id);
    end if;
    if seen.quantity_available <= 0 then
        raise exception using errcode = 'OS001', message = format('Ticket %L is sold out.', p_ticket_id);
    end if;

    -- First lock: the person. Waits for whoever is buying or cancelling for the same person and event; a
    -- unique violation becomes "no row" without an exception block, hence without a subtransaction.
    insert into public.rsvps as r (event_id, ticket_id, user_id, name, email, payment_proof_url)
    values (p_event_id, p_ticket_id, p_user_id, p_name, p_email, p_payment_proof_url)
    on conflict (event_id, user_id) where status = 'confirmed' do nothing
    returning r.* into rsvp;
    if not found then
        raise exception using errcode = 'OS002',
            message = format('This person already has an RSVP for event %s.', p_event_id);
    end if;

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

    remaining := ticket.quantity_available;
end
$$;

-- Not for anon and authenticated: the person is an argument, so whoever may call this may buy in anybody's
-- name, and without the payment the service asks for.
revoke all on function public.create_rsvp(bigint, text, text, text, text, text) from public, anon, authenticated;
grant execute on function public.create_rsvp(bigint, text, text, text, text, text) to service_role;

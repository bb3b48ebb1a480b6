-- sql/0001 to 0010 as they were before there were holds, to migrate from. Not to be kept up to date.

-- What the other migrations stand on: a supported server, no foreign tables in the way, three roles.
--
-- Every migration may be run again at any time, alone or together with the others as one batch.

do $$
declare
    missing text;
begin
    if current_setting('server_version_num')::integer < 150000 then
        raise exception 'PostgreSQL 15 or newer is needed, this is %', current_setting('server_version')
            using hint = 'The monitoring view checks the privileges of its reader (security_invoker), new in 15.';
    end if;

    -- "create table if not exists" would silently keep a table of another shape and everything after it
    -- would fail in words nobody understands.
    select string_agg(format('%s.%s', needed.table_name, needed.column_name), ', ')
      into missing
      from (values ('events', 'id'), ('events', 'name'),
                   ('tickets', 'id'), ('tickets', 'event_id'), ('tickets', 'quantity_initial'),
                   ('tickets', 'quantity_available'), ('tickets', 'purchase_deadline'),
                   ('rsvps', 'id'), ('rsvps', 'event_id'), ('rsvps', 'ticket_id'), ('rsvps', 'user_id'),
                   ('rsvps', 'status'), ('rsvps', 'cancelled_at'),
                   ('payment_proofs', 'content'), ('idempotency_keys', 'fingerprint'))
           as needed (table_name, column_name)
     where to_regclass('public.' || needed.table_name) is not null
       and not exists (select from pg_catalog.pg_attribute a
                        where a.attrelid = to_regclass('public.' || needed.table_name)
                          and a.attname = needed.column_name
                          and not a.attisdropped);
    if missing is not null then
        raise exception 'The schema "public" already has tables of these names that lack: %', missing
            using hint = 'Rename the old tables, run the migrations, then copy the rows over. Nothing was changed.';
    end if;
end
$$;

-- Supabase has these roles. Elsewhere they are made, without login. Roles belong to the whole cluster, so
-- another database may be making them at this very moment: losing that race is success.
do $$
declare
    wanted text;
begin
    foreach wanted in array array['anon', 'authenticated', 'service_role'] loop
        if not exists (select from pg_catalog.pg_roles r where r.rolname = wanted) then
            begin
                execute format('create role %I nologin noinherit', wanted);
            exception
                when duplicate_object or unique_violation then null;
            end;
        end if;
    end loop;
end
$$;

grant usage on schema public to anon, authenticated, service_role;
-- Events: what people RSVP to.

create table if not exists public.events (
    id         bigint generated always as identity primary key,
    name       text not null,
    created_at timestamptz not null default now(),
    constraint events_name_not_blank check (btrim(name) <> '')
);

-- Supabase grants everything on new tables in "public" to all three roles, so revoking comes first.
alter table public.events enable row level security;
revoke all on table public.events from public, anon, authenticated, service_role;
grant select on table public.events to anon, authenticated;
grant select, insert, update, delete on table public.events to service_role;

drop policy if exists events_read on public.events;
create policy events_read on public.events for select to anon, authenticated using (true);

-- On Supabase service_role bypasses row level security; a role made by 0001 does not.
drop policy if exists events_service on public.events;
create policy events_service on public.events for all to service_role using (true) with check (true);
-- Ticket types of an event, with the counter that everybody fights for.
--
-- The constraints are the last line of defence. They are never caught and turned into a polite answer:
-- if one of them fires, the code above it has a bug, and that should be seen.

create table if not exists public.tickets (
    id                 text primary key default gen_random_uuid()::text,
    event_id           bigint not null references public.events (id),
    name               text not null,
    price              numeric(12, 2) not null default 0,
    quantity_initial   integer not null,
    quantity_available integer not null,
    purchase_deadline  timestamptz,
    created_at         timestamptz not null default now(),
    constraint tickets_id_length check (length(id) between 1 and 200),
    constraint tickets_name_not_blank check (btrim(name) <> ''),
    constraint tickets_price_not_negative check (price >= 0),
    constraint tickets_available_not_negative check (quantity_available >= 0),
    constraint tickets_available_at_most_initial check (quantity_available <= quantity_initial),
    -- What rsvps refer to, so that a ticket of another event cannot be written down.
    constraint tickets_id_of_event unique (id, event_id)
);

comment on column public.tickets.quantity_initial is 'What there was to sell when the sale opened.';
comment on column public.tickets.quantity_available is 'What is left; equals quantity_initial minus the standing RSVPs.';
comment on column public.tickets.purchase_deadline is 'The first moment at which nothing is sold any more; null: never.';

create index if not exists tickets_of_event on public.tickets (event_id);

alter table public.tickets enable row level security;
revoke all on table public.tickets from public, anon, authenticated, service_role;
grant select on table public.tickets to anon, authenticated;
grant select, insert, update, delete on table public.tickets to service_role;

drop policy if exists tickets_read on public.tickets;
create policy tickets_read on public.tickets for select to anon, authenticated using (true);

drop policy if exists tickets_service on public.tickets;
create policy tickets_service on public.tickets for all to service_role using (true) with check (true);
-- RSVPs. A cancelled one keeps its row; it just no longer stands.

create table if not exists public.rsvps (
    id                uuid primary key default gen_random_uuid(),
    event_id          bigint not null,
    ticket_id         text not null,
    user_id           text not null,
    name              text not null,
    email             text not null,
    payment_proof_url text,
    status            text not null default 'confirmed',
    created_at        timestamptz not null default clock_timestamp(),
    cancelled_at      timestamptz,
    constraint rsvps_user_id_length check (btrim(user_id) <> '' and length(user_id) <= 200),
    constraint rsvps_name_length check (btrim(name) <> '' and length(name) <= 200),
    constraint rsvps_email_shape check (email ~ '^[^@[:space:]]+@[^@[:space:]]+$' and length(email) <= 320),
    constraint rsvps_payment_proof_url_length check (length(payment_proof_url) between 1 and 2048),
    constraint rsvps_status_known check (status in ('confirmed', 'cancelled')),
    constraint rsvps_cancelled_at_when_cancelled check ((status = 'cancelled') = (cancelled_at is not null)),
    -- Deferred on purpose. create_rsvp inserts before it takes the ticket's row lock; an immediate check
    -- would put a shared lock on that hot row for every buyer in the queue (a growing MultiXact). At
    -- commit the buyer holds the stronger lock anyway, and the check is free.
    constraint rsvps_ticket_of_event foreign key (ticket_id, event_id)
        references public.tickets (id, event_id) deferrable initially deferred
);

-- One standing RSVP per person and event. This index, not a SELECT, is what keeps duplicates out.
create unique index if not exists rsvps_one_standing_per_person
    on public.rsvps (event_id, user_id) where status = 'confirmed';

-- For counting what was sold, and for the foreign key.
create index if not exists rsvps_standing_of_ticket
    on public.rsvps (ticket_id) where status = 'confirmed';

alter table public.rsvps enable row level security;
revoke all on table public.rsvps from public, anon, authenticated, service_role;
grant select on table public.rsvps to authenticated;
grant select, insert, update, delete on table public.rsvps to service_role;

-- What Supabase's auth.uid() does, spelled out so that it also works where there is no "auth" schema.
drop policy if exists rsvps_read_own on public.rsvps;
create policy rsvps_read_own on public.rsvps for select to authenticated
    using (user_id = (select nullif(current_setting('request.jwt.claims', true), '')::jsonb ->> 'sub'));

drop policy if exists rsvps_service on public.rsvps;
create policy rsvps_service on public.rsvps for all to service_role using (true) with check (true);
-- The three functions of the story: take one, give one back, say what is left.
--
-- All functions here run with the rights of their owner (security definer), so that callers need none on
-- the tables. Two precautions follow: a fixed search_path with pg_temp last, or a caller could slip in
-- objects of his own; and EXECUTE taken from PUBLIC, anon and authenticated, because Postgres gives it to
-- PUBLIC and Supabase to all three roles whenever a function is created.
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

create or replace function public.increment_ticket_quantity(ticket_id text)
returns public.tickets
language plpgsql volatile security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    ticket   public.tickets;
    standing bigint;
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
    -- somebody holds. Counted after the row is locked: every create_rsvp that has taken one has either
    -- committed, and its row is counted, or is waited for above.
    select count(*) into standing
      from public.rsvps r
     where r.ticket_id = increment_ticket_quantity.ticket_id
       and r.status = 'confirmed';
    if ticket.quantity_available + standing >= ticket.quantity_initial then
        raise exception using errcode = 'OS004',
            message = format('Nothing to give back for ticket %L: %s available and %s sold of %s.',
                             ticket.id, ticket.quantity_available, standing, ticket.quantity_initial);
    end if;

    update public.tickets t
       set quantity_available = t.quantity_available + 1
     where t.id = ticket.id
    returning t.* into ticket;
    return ticket;
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

revoke all on function public.decrement_ticket_quantity(text) from public, anon, authenticated;
revoke all on function public.increment_ticket_quantity(text) from public, anon, authenticated;
revoke all on function public.get_ticket_availability(bigint) from public;
grant execute on function public.decrement_ticket_quantity(text) to service_role;
grant execute on function public.increment_ticket_quantity(text) to service_role;
grant execute on function public.get_ticket_availability(bigint) to anon, authenticated, service_role;
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
-- Monitoring: every ticket type whose books do not add up. Empty when all is well.
--
-- The query published with the story compares a count with itself plus the counter and can only be true
-- of a negative counter. This one compares with what there was to sell.

create or replace view public.oversold_tickets with (security_invoker = true) as
select books.ticket_id,
       books.event_id,
       books.name,
       books.quantity_initial,
       books.quantity_available,
       books.standing,
       books.standing + books.quantity_available - books.quantity_initial as difference,
       case when books.standing + books.quantity_available > books.quantity_initial
            then 'oversold' else 'leaked' end as problem
  from (select t.id as ticket_id,
               t.event_id,
               t.name,
               t.quantity_initial,
               t.quantity_available,
               (select count(*) from public.rsvps r
                 where r.ticket_id = t.id and r.status = 'confirmed') as standing
          from public.tickets t) as books
 where books.standing + books.quantity_available <> books.quantity_initial;

comment on view public.oversold_tickets is
    'Tickets whose standing RSVPs and remaining quantity do not add up to the initial quantity.';

revoke all on table public.oversold_tickets from public, anon, authenticated, service_role;
grant select on table public.oversold_tickets to service_role;
-- Payment proofs that buyers upload before they RSVP. Which kinds and sizes are welcome is for the service
-- to say; the limits here only keep the table from being misused.

create table if not exists public.payment_proofs (
    id           uuid primary key default gen_random_uuid(),
    content_type text not null,
    content      bytea not null,
    size         integer not null generated always as (octet_length(content)) stored,
    created_at   timestamptz not null default now(),
    constraint payment_proofs_content_type_shape
        check (content_type ~ '^[a-z]+/[a-z0-9.+-]+$' and length(content_type) <= 100),
    constraint payment_proofs_content_size check (octet_length(content) between 1 and 10485760)
);

alter table public.payment_proofs enable row level security;
revoke all on table public.payment_proofs from public, anon, authenticated, service_role;
grant select, insert, delete on table public.payment_proofs to service_role;

drop policy if exists payment_proofs_service on public.payment_proofs;
create policy payment_proofs_service on public.payment_proofs
    for all to service_role using (true) with check (true);
-- Idempotency keys: same key, same answer, once in the books.
--
-- The service inserts the key, does the work and stores the answer in one transaction. Whoever comes with
-- the same key meanwhile waits at the primary key: for the stored answer if the first commits, or to be the
-- first himself if it is rolled back. A key therefore never stands without its answer.

create table if not exists public.idempotency_keys (
    key         text primary key,
    fingerprint text not null,
    status      smallint,
    response    jsonb,
    created_at  timestamptz not null default now(),
    constraint idempotency_keys_key_length check (length(key) between 1 and 255),
    constraint idempotency_keys_fingerprint_length check (length(fingerprint) between 1 and 255),
    constraint idempotency_keys_status_http check (status between 100 and 599),
    constraint idempotency_keys_answer_whole check ((status is null) = (response is null))
);

comment on column public.idempotency_keys.fingerprint is 'Digest of the request, to refuse a key used for two requests.';
comment on column public.idempotency_keys.status is 'HTTP status of the stored answer; null only inside the first transaction.';

create index if not exists idempotency_keys_created_at on public.idempotency_keys (created_at);

-- A check constraint cannot be deferred; a constraint trigger can. It runs at commit.
create or replace function public.idempotency_key_has_answer()
returns trigger
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
begin
    if exists (select from public.idempotency_keys k where k.key = new.key and k.status is null) then
        raise exception using errcode = 'check_violation', constraint = 'idempotency_keys_answered',
            message = 'An idempotency key cannot be committed without its answer.';
    end if;
    return null;
end
$$;
revoke all on function public.idempotency_key_has_answer() from public, anon, authenticated;

drop trigger if exists idempotency_keys_answered on public.idempotency_keys;
create constraint trigger idempotency_keys_answered
    after insert or update on public.idempotency_keys
    deferrable initially deferred
    for each row execute function public.idempotency_key_has_answer();

alter table public.idempotency_keys enable row level security;
revoke all on table public.idempotency_keys from public, anon, authenticated, service_role;
grant select, insert, update, delete on table public.idempotency_keys to service_role;

drop policy if exists idempotency_keys_service on public.idempotency_keys;
create policy idempotency_keys_service on public.idempotency_keys
    for all to service_role using (true) with check (true);

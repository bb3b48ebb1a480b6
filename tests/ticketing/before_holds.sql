-- What sql/0001 to 0010 had made before there were holds, to migrate from. Not to be kept up to date.

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

create table public.events (
    id         bigint generated always as identity primary key,
    name       text not null,
    created_at timestamptz not null default now(),
    constraint events_name_not_blank check (btrim(name) <> '')
);
alter table public.events enable row level security;
revoke all on table public.events from public, anon, authenticated, service_role;
grant select on table public.events to anon, authenticated;
grant select, insert, update, delete on table public.events to service_role;
create policy events_read on public.events for select to anon, authenticated using (true);
create policy events_service on public.events for all to service_role using (true) with check (true);

create table public.tickets (
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
    constraint tickets_id_of_event unique (id, event_id)
);

create index tickets_of_event on public.tickets (event_id);
alter table public.tickets enable row level security;
revoke all on table public.tickets from public, anon, authenticated, service_role;
grant select on table public.tickets to anon, authenticated;
grant select, insert, update, delete on table public.tickets to service_role;
create policy tickets_read on public.tickets for select to anon, authenticated using (true);
create policy tickets_service on public.tickets for all to service_role using (true) with check (true);

create table public.rsvps (
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
    constraint rsvps_ticket_of_event foreign key (ticket_id, event_id)
        references public.tickets (id, event_id) deferrable initially deferred
);

create unique index rsvps_one_standing_per_person
    on public.rsvps (event_id, user_id) where status = 'confirmed';

create index rsvps_standing_of_ticket
    on public.rsvps (ticket_id) where status = 'confirmed';
alter table public.rsvps enable row level security;
revoke all on table public.rsvps from public, anon, authenticated, service_role;
grant select on table public.rsvps to authenticated;
grant select, insert, update, delete on table public.rsvps to service_role;
create policy rsvps_read_own on public.rsvps for select to authenticated
    using (user_id = (select nullif(current_setting('request.jwt.claims', true), '')::jsonb ->> 'sub'));
create policy rsvps_service on public.rsvps for all to service_role using (true) with check (true);

create function public.decrement_ticket_quantity(ticket_id text)
returns public.tickets
language plpgsql volatile security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    taken public.tickets;
begin
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

create function public.increment_ticket_quantity(ticket_id text)
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

create function public.get_ticket_availability(event_id_param bigint)
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

create function public.create_rsvp(
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
    insert into public.rsvps as r (event_id, ticket_id, user_id, name, email, payment_proof_url)
    values (p_event_id, p_ticket_id, p_user_id, p_name, p_email, p_payment_proof_url)
    on conflict (event_id, user_id) where status = 'confirmed' do nothing
    returning r.* into rsvp;
    if not found then
        raise exception using errcode = 'OS002',
            message = format('This person already has an RSVP for event %s.', p_event_id);
    end if;
    ticket := public.decrement_ticket_quantity(p_ticket_id);
    if ticket.purchase_deadline <= clock_timestamp() then
        raise exception using errcode = 'OS003',
            message = format('The sale of ticket %L has ended.', p_ticket_id);
    end if;
    remaining := ticket.quantity_available;
end
$$;
revoke all on function public.create_rsvp(bigint, text, text, text, text, text) from public, anon, authenticated;
grant execute on function public.create_rsvp(bigint, text, text, text, text, text) to service_role;

create function public.cancel_rsvp(p_rsvp_id uuid)
returns public.rsvps
language plpgsql volatile security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    cancelled public.rsvps;
begin
    update public.rsvps r
       set status = 'cancelled', cancelled_at = clock_timestamp()
     where r.id = p_rsvp_id
       and r.status = 'confirmed'
    returning r.* into cancelled;
    if found then
        update public.tickets t
           set quantity_available = t.quantity_available + 1
         where t.id = cancelled.ticket_id;
        return cancelled;
    end if;
    select r.* into cancelled from public.rsvps r where r.id = p_rsvp_id;
    if not found then
        raise exception using errcode = 'OS005', message = format('There is no RSVP %L.', p_rsvp_id);
    end if;
    return cancelled;
end
$$;
revoke all on function public.cancel_rsvp(uuid) from public, anon, authenticated;
grant execute on function public.cancel_rsvp(uuid) to service_role;

create view public.oversold_tickets with (security_invoker = true) as
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
revoke all on table public.oversold_tickets from public, anon, authenticated, service_role;
grant select on table public.oversold_tickets to service_role;

create table public.payment_proofs (
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
create policy payment_proofs_service on public.payment_proofs
    for all to service_role using (true) with check (true);

create table public.idempotency_keys (
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

create index idempotency_keys_created_at on public.idempotency_keys (created_at);

create function public.idempotency_key_has_answer()
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

create constraint trigger idempotency_keys_answered
    after insert or update on public.idempotency_keys
    deferrable initially deferred
    for each row execute function public.idempotency_key_has_answer();
alter table public.idempotency_keys enable row level security;
revoke all on table public.idempotency_keys from public, anon, authenticated, service_role;
grant select, insert, update, delete on table public.idempotency_keys to service_role;
create policy idempotency_keys_service on public.idempotency_keys
    for all to service_role using (true) with check (true);

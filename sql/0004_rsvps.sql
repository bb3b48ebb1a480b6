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

-- RSVPs, and everything else that can be a person's place at an event.
--
-- Whatever a person has at an event is one row here, and its status says what it is:
--
--   waiting    stands in line for what others give back      occupies the place, no ticket
--   held       has a ticket set aside while they pay         occupies the place and a ticket
--   confirmed  has an RSVP                                   occupies the place and a ticket
--   cancelled  had an RSVP                                   nothing
--   released   gave a hold up                                nothing
--   expired    let a hold run out                            nothing
--
-- One table, so that one unique index keeps two of the first three apart, whichever functions run against
-- each other, and so that there is one row to lock. Served from the line or confirmed from a hold, it is the
-- same row with the same id.

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
    constraint rsvps_payment_proof_url_length check (length(payment_proof_url) between 1 and 2048),
    constraint rsvps_cancelled_at_when_cancelled check ((status = 'cancelled') = (cancelled_at is not null)),
    -- Deferred on purpose. create_rsvp inserts before it takes the ticket's row lock; an immediate check
    -- would put a shared lock on that hot row for every buyer in the queue (a growing MultiXact). At
    -- commit the buyer holds the stronger lock anyway, and the check is free.
    constraint rsvps_ticket_of_event foreign key (ticket_id, event_id)
        references public.tickets (id, event_id) deferrable initially deferred
);

-- Tables made before there were holds and a line lack these, and know two statuses.
alter table public.rsvps add column if not exists price_paid numeric(12, 2);
alter table public.rsvps add column if not exists expires_at timestamptz;
alter table public.rsvps add column if not exists waiting_number bigint;

do $$
begin
    if not exists (select from pg_catalog.pg_constraint c
                    where c.conrelid = 'public.rsvps'::regclass
                      and c.conname = 'rsvps_waiting_number_when_waiting')
    then
        alter table public.rsvps
            drop constraint if exists rsvps_status_known,
            drop constraint if exists rsvps_name_length,
            drop constraint if exists rsvps_email_shape,
            add constraint rsvps_status_known
                check (status in ('waiting', 'held', 'confirmed', 'cancelled', 'released', 'expired')),
            -- Who holds has given neither yet.
            add constraint rsvps_name_length
                check (length(name) <= 200
                       and (btrim(name) <> '' or status in ('held', 'released', 'expired'))),
            add constraint rsvps_email_shape
                check (length(email) <= 320
                       and (email ~ '^[^@[:space:]]+@[^@[:space:]]+$'
                            or email = '' and status in ('held', 'released', 'expired'))),
            add constraint rsvps_price_paid_not_negative check (price_paid >= 0),
            add constraint rsvps_expires_at_of_holds
                check (status not in ('held', 'released', 'expired') or expires_at is not null),
            add constraint rsvps_waiting_number_when_waiting
                check ((status = 'waiting') = (waiting_number is not null));
    end if;
end
$$;

comment on column public.rsvps.created_at is
    'When it was confirmed; while it waits or is held, when that began.';
comment on column public.rsvps.price_paid is
    'The ticket''s price when it was bought; null where that was not yet written down.';
comment on column public.rsvps.expires_at is 'When the hold runs out, or did; null for what never was a hold.';
comment on column public.rsvps.waiting_number is 'Who waits with a smaller number is served first.';

-- One place per person and event. This index, not a SELECT, is what keeps duplicates out.
create unique index if not exists rsvps_one_place_per_person
    on public.rsvps (event_id, user_id) where status in ('waiting', 'held', 'confirmed');
drop index if exists public.rsvps_one_standing_per_person;

-- For counting what is taken, and for the foreign key.
create index if not exists rsvps_taken_of_ticket
    on public.rsvps (ticket_id) where status in ('held', 'confirmed');
drop index if exists public.rsvps_standing_of_ticket;

-- The line of a ticket, the first first; and the holds, the next to run out first.
create index if not exists rsvps_line_of_ticket
    on public.rsvps (ticket_id, waiting_number) where status = 'waiting';
create index if not exists rsvps_holds_by_expiry
    on public.rsvps (expires_at) where status = 'held';

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

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

comment on column public.tickets.quantity_initial is 'What there is to sell in all; change_capacity changes it.';
comment on column public.tickets.quantity_available is
    'What is left; equals quantity_initial minus the standing RSVPs and the holds.';
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

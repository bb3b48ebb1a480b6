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

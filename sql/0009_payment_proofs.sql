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

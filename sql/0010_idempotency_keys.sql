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

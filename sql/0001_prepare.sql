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
                   ('payment_proofs', 'content'), ('idempotency_keys', 'fingerprint'),
                   ('refunds', 'rsvp_id'), ('refunds', 'amount'))
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

    -- These are views here: "create or replace view" over a table fails half-way through the migrations.
    select string_agg(taken.relname, ', ' order by taken.relname)
      into missing
      from pg_catalog.pg_class taken
     where taken.relnamespace = 'public'::regnamespace
       and taken.relname in ('holds', 'waitlist', 'oversold_tickets')
       and taken.relkind <> 'v';
    if missing is not null then
        raise exception 'The schema "public" already has tables where views are to be made: %', missing
            using hint = 'Rename the old tables, then run the migrations. Nothing was changed.';
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

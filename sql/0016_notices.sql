-- Notices: whoever listens on the channel "ticket_availability" is told how many of a ticket are left, whenever
-- that changes, by whatever changes it.
--
-- Postgres delivers a notice when the transaction commits, never for one that is rolled back, and in the order
-- of the commits. The number in it is the ticket's own: one more with every notice, so that a listener who
-- missed some (it was not connected) or gets them by several ways can tell.

alter table public.tickets add column if not exists notice_number bigint not null default 0;

comment on column public.tickets.notice_number is 'How often what is available has changed; in every notice.';

create or replace function public.notify_ticket_availability()
returns trigger
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
begin
    if tg_op = 'UPDATE' then
        new.notice_number := old.notice_number + 1;
    end if;
    perform pg_notify('ticket_availability', json_build_object(
        'event_id', new.event_id,
        'ticket_id', new.id,
        'available', new.quantity_available,
        'sold_out', new.quantity_available <= 0,
        'sequence', new.notice_number)::text);
    return new;
end
$$;
revoke all on function public.notify_ticket_availability() from public, anon, authenticated, service_role;

-- Before the row is written, because the number is in it. The row is locked by then.
drop trigger if exists tickets_notify_new on public.tickets;
create trigger tickets_notify_new
    before insert on public.tickets
    for each row execute function public.notify_ticket_availability();

drop trigger if exists tickets_notify_changed on public.tickets;
create trigger tickets_notify_changed
    before update on public.tickets
    for each row when (old.quantity_available is distinct from new.quantity_available)
    execute function public.notify_ticket_availability();

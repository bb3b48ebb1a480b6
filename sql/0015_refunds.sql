-- Refunds: an RSVP taken back, and the price that was paid for it written down as to be paid back, once.

create table if not exists public.refunds (
    rsvp_id    uuid primary key references public.rsvps (id),
    amount     numeric(12, 2) not null,
    created_at timestamptz not null default clock_timestamp(),
    constraint refunds_amount_not_negative check (amount >= 0)
);

comment on column public.refunds.amount is
    'What was paid: the ticket''s price when it was bought, or the present one where that was not written down.';

alter table public.refunds enable row level security;
revoke all on table public.refunds from public, anon, authenticated, service_role;
grant select on table public.refunds to service_role;

drop policy if exists refunds_service on public.refunds;
create policy refunds_service on public.refunds for select to service_role using (true);

-- Lock order as in 0006: the RSVP, then the ticket.
create or replace function public.refund_rsvp(p_rsvp_id uuid)
returns public.refunds
language plpgsql volatile security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    cancelled public.rsvps;
    refund    public.refunds;
begin
    -- As in cancel_rsvp: the change of status is the right to pay and to give back.
    update public.rsvps r
       set status = 'cancelled', cancelled_at = clock_timestamp()
     where r.id = p_rsvp_id
       and r.status = 'confirmed'
    returning r.* into cancelled;
    if found then
        insert into public.refunds as f (rsvp_id, amount)
        select cancelled.id, coalesce(cancelled.price_paid, t.price)
          from public.tickets t
         where t.id = cancelled.ticket_id
        returning f.* into refund;
        perform public.give_back(cancelled.ticket_id, 1);
        return refund;
    end if;

    -- Asked again: the same answer, and nothing paid or given back twice.
    select f.* into refund from public.refunds f where f.rsvp_id = p_rsvp_id;
    if found then
        return refund;
    end if;
    if exists (select from public.rsvps r where r.id = p_rsvp_id and r.status = 'cancelled') then
        raise exception using errcode = 'OS004',
            message = format('The RSVP %L was cancelled without a refund.', p_rsvp_id);
    end if;
    raise exception using errcode = 'OS005', message = format('There is no RSVP %L.', p_rsvp_id);
end
$$;

-- For the organizer's service only.
revoke all on function public.refund_rsvp(uuid) from public, anon, authenticated;
grant execute on function public.refund_rsvp(uuid) to service_role;

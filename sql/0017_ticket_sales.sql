-- Sales statistics of a ticket over time, from the RSVPs themselves.
--
-- One row for each stretch of time in which something was sold or cancelled, oldest first. Where nothing
-- happened there is no row: "standing" is then still that of the row before. The last row's is what stands now.
-- A cancelled RSVP counts as sold when it was bought and as cancelled when it was cancelled. Holds and places
-- in line count when they become RSVPs.

create or replace function public.get_ticket_sales(p_ticket_id text, p_bucket interval default '1 hour')
returns table (bucket_start timestamptz, sold bigint, cancelled bigint, standing bigint)
language plpgsql stable security definer
set search_path = pg_catalog, pg_temp
as $$
begin
    if p_bucket is null or p_bucket <= interval '0' or extract(year from p_bucket) <> 0
       or extract(month from p_bucket) <> 0
    then
        raise exception using errcode = 'OS004',
            message = 'A bucket lasts longer than nothing, in days, hours, minutes or seconds.';
    end if;
    if not exists (select from public.tickets t where t.id = p_ticket_id) then
        raise exception using errcode = 'OS005', message = format('There is no ticket %L.', p_ticket_id);
    end if;
    return query
        select b.start,
               sum(b.sold)::bigint,
               sum(b.cancelled)::bigint,
               sum(sum(b.sold) - sum(b.cancelled)) over (order by b.start)::bigint
          from (select date_bin(p_bucket, happened.at, timestamptz '2000-01-01 00:00:00+00') as start,
                       happened.sold,
                       happened.cancelled
                  from (select r.created_at as at, 1 as sold, 0 as cancelled
                          from public.rsvps r
                         where r.ticket_id = p_ticket_id
                           and r.status in ('confirmed', 'cancelled')
                        union all
                        select r.cancelled_at, 0, 1
                          from public.rsvps r
                         where r.ticket_id = p_ticket_id
                           and r.status = 'cancelled') as happened) as b
         group by b.start
         order by b.start;
end
$$;

-- For the organizer's service only.
revoke all on function public.get_ticket_sales(text, interval) from public, anon, authenticated;
grant execute on function public.get_ticket_sales(text, interval) to service_role;

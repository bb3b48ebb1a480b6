-- Group RSVPs: one ticket for each of several people, all or nothing.
--
-- Lock order as in 0006: the places of all members in one order, however the caller lists them, or two callers
-- who name the same two people in different orders would each wait for the other; then the ticket, once.

create or replace function public.create_group_rsvp(
    p_event_id  bigint,
    p_ticket_id text,
    p_user_ids  text[],
    p_names     text[],
    p_emails    text[]
)
returns table (rsvp public.rsvps, remaining integer)
language plpgsql volatile security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    units   integer := cardinality(p_user_ids);
    problem text;
    price   numeric;
    member  record;
    place   uuid;
    places  uuid[] := '{}';
    ticket  public.tickets;
begin
    problem := case
        when p_event_id is null then 'An event is missing.'
        when coalesce(p_ticket_id, '') = '' then 'A ticket is missing.'
        when coalesce(units, 0) not between 1 and 100 or array_ndims(p_user_ids) <> 1
            then 'A group has from 1 to 100 members.'
        when cardinality(p_names) is distinct from units or cardinality(p_emails) is distinct from units
            then 'Each member needs a name and an email.'
        when units <> (select count(distinct m) from unnest(p_user_ids) as m) then 'A member is named twice, or not.'
        else (select min(public.person_problem(m.user_id, m.name, m.email))
                from unnest(p_user_ids, p_names, p_emails) as m (user_id, name, email))
    end;
    if problem is not null then
        raise exception using errcode = 'OS004', message = problem;
    end if;

    -- Everybody first, so that a group with somebody who has a ticket is not told that there are too few.
    for member in select m.user_id from unnest(p_user_ids) as m (user_id) loop
        perform public.admit(p_event_id, member.user_id, p_ticket_id, 0, format('The member %L', member.user_id));
    end loop;
    price := public.admit(p_event_id, p_user_ids[array_lower(p_user_ids, 1)], p_ticket_id, units);

    -- One by one, each until the place is ours or it is known why not: whoever had to come back for one after
    -- a later one would not keep the order.
    for member in
        select m.user_id, m.name, m.email
          from unnest(p_user_ids, p_names, p_emails) as m (user_id, name, email)
         order by m.user_id collate "C"
    loop
        loop
            insert into public.rsvps as r (event_id, ticket_id, user_id, name, email, price_paid)
            values (p_event_id, p_ticket_id, member.user_id, member.name, member.email, price)
            on conflict (event_id, user_id) where status in ('waiting', 'held', 'confirmed') do nothing
            returning r.id into place;
            exit when found;
            perform public.admit(p_event_id, member.user_id, p_ticket_id, 0,
                                 format('The member %L', member.user_id));
        end loop;
        places := places || place;
    end loop;

    update public.tickets t
       set quantity_available = t.quantity_available - units
     where t.id = p_ticket_id
       and t.quantity_available >= units
    returning t.* into ticket;
    if not found then
        raise exception using errcode = 'OS001',
            message = format('Fewer than %s are left of ticket %L.', units, p_ticket_id);
    end if;
    if ticket.purchase_deadline <= clock_timestamp() then
        raise exception using errcode = 'OS003',
            message = format('The sale of ticket %L has ended.', p_ticket_id);
    end if;
    if ticket.price <> price then
        update public.rsvps r set price_paid = ticket.price where r.id = any (places);
    end if;

    return query
        select r, ticket.quantity_available
          from public.rsvps r
         where r.id = any (places)
         order by array_position(p_user_ids, r.user_id);
end
$$;

-- As with create_rsvp: whoever may call this acts in everybody's name.
revoke all on function public.create_group_rsvp(bigint, text, text[], text[], text[])
    from public, anon, authenticated;
grant execute on function public.create_group_rsvp(bigint, text, text[], text[], text[]) to service_role;

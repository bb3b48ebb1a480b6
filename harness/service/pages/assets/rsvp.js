// Sends the RSVP form: the payment proof first, then the RSVP under an Idempotency-Key. Shows what is left as it
// changes.
//
// The key belongs to what is being asked, not to the click: as long as the form is unchanged and no answer
// came, trying again repeats the same request, and the service books it once. A definite answer retires it.
"use strict";

const form = document.getElementById("rsvp");
const result = document.getElementById("result");
const button = form.querySelector("button");

const REFUSALS = {
  sold_out: "Sorry, this ticket has just sold out. Nothing was taken from you; please choose another one.",
  duplicate_rsvp: "You already have an RSVP for this event under this email address.",
  sale_closed: "The sale of this ticket has ended.",
};

let pending = null; // the request that has had no answer yet, with its key
let live = false; // the numbers are kept true by a socket

form.addEventListener("submit", async (event) => {
  event.preventDefault();
  const problem = firstProblem();
  if (problem) {
    show("refused", problem.message);
    problem.field.focus();
    return;
  }
  button.disabled = true;
  button.textContent = "Sending…";
  try {
    await send();
  } catch (trouble) {
    show("refused", trouble.userMessage ?? "We could not reach the service. Please try again; you will not be booked twice.");
  } finally {
    button.disabled = false;
    button.textContent = "RSVP";
  }
});

form.addEventListener("input", () => {
  pending = null;
});

function firstProblem() {
  const messages = {
    ticket: "Please choose a ticket.",
    name: "Please tell us your name.",
    email: "Please give an email address such as ann@example.org.",
    proof: `The payment proof is larger than ${Math.floor(form.dataset.limit / 1048576)} MB.`,
  };
  const { name, email, proof } = form.elements;
  const file = proof.files[0];
  const bad = [
    form.querySelector("input[name=ticket]:checked") ? null : form.querySelector("input[name=ticket]:enabled"),
    name.value.trim() ? null : name,
    email.validity.valid ? null : email,
    file && file.size > Number(form.dataset.limit) ? proof : null,
  ];
  for (const field of [name, email, proof]) {
    field.toggleAttribute("aria-invalid", false);
    if (bad.includes(field)) field.setAttribute("aria-invalid", "true");
  }
  const field = bad.find(Boolean);
  if (field) return { field, message: messages[field.name] };
  if (!form.querySelector("input[name=ticket]:checked")) return { field: button, message: "No ticket is on sale." };
  return null;
}

async function send() {
  pending ??= { key: newKey(), body: await requestBody() };
  const response = await fetch("/api/rsvp", {
    method: "POST",
    headers: { "Content-Type": "application/json", "Idempotency-Key": pending.key },
    body: pending.body,
  });
  const answer = await response.json();
  if (response.status < 500) pending = null;
  if (response.status === 201) {
    show("accepted", `You are in, ${answer.rsvp.name}! Your RSVP number is ${answer.rsvp.id}.`);
  } else {
    show("refused", REFUSALS[answer.error] ?? answer.message);
  }
  await refresh();
}

async function requestBody() {
  const { name, email } = form.elements;
  const address = email.value.trim();
  return JSON.stringify({
    eventId: Number(form.dataset.event),
    userId: address.toLowerCase(),
    name: name.value.trim(),
    email: address,
    ticketId: form.querySelector("input[name=ticket]:checked").value,
    paymentProofUrl: await upload(form.elements.proof.files[0]),
  });
}

// Refused or broken off, the upload ends the whole attempt: nothing has been bought yet.
async function upload(file) {
  if (!file) return null;
  const parts = new FormData();
  parts.append("file", file);
  const response = await fetch("/api/payment-proofs", { method: "POST", body: parts });
  const answer = await response.json();
  if (response.status !== 201) throw Object.assign(new Error(), { userMessage: answer.message });
  return answer.paymentProofUrl;
}

// Without the live socket, the numbers are those of the page until something is sent; then they are read anew.
async function refresh() {
  if (live) return;
  const response = await fetch(`/api/events/${form.dataset.event}/availability`);
  if (response.ok) (await response.json()).tickets.forEach(showTicket);
}

function showTicket({ ticketId, available }) {
  const state = form.querySelector(`[data-ticket="${CSS.escape(ticketId)}"]`);
  if (!state) return;
  const deadline = Date.parse(state.dataset.deadline);
  const closed = deadline <= Date.now(); // never true without a deadline
  const open = available > 0 && !closed;
  state.textContent = closed ? "Sale closed" : open ? `${available} left` : "Sold out";
  const row = state.closest(".ticket");
  row.classList.toggle("closed", !open);
  row.querySelector("input").disabled = !open;
}

// Keeps the numbers true as they change. Each socket begins with all of them, so that nothing is missed while
// there is none; trying again takes longer each time, and not all pages try at the same moment.
function watch(pause = 1000) {
  const address = new URL(`/api/events/${form.dataset.event}/live`, location);
  address.protocol = location.protocol === "https:" ? "wss:" : "ws:";
  let socket;
  try {
    socket = new WebSocket(address);
  } catch {
    return; // not allowed here; the page does without
  }
  socket.addEventListener("message", ({ data }) => {
    const message = JSON.parse(data);
    if (message.type === "snapshot") {
      live = true;
      pause = 1000;
      message.tickets.forEach(showTicket);
    } else if (message.type === "availability") {
      showTicket(message);
    }
  });
  socket.addEventListener("close", ({ code }) => {
    live = false;
    if (code === 4404) return; // there is no such event any more
    setTimeout(() => watch(Math.min(2 * pause, 30000)), pause * (0.5 + Math.random() / 2));
  });
}

function show(kind, message) {
  result.className = `notice ${kind}`;
  result.textContent = message;
}

// crypto.randomUUID exists only on https and localhost; getRandomValues exists everywhere.
function newKey() {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}

watch();

import type { ObjectsAdmin } from "heddle";
import { duration } from "./format.ts";
import { nameOf } from "./shared-kinds.ts";

type ObjectReport = Awaited<ReturnType<ObjectsAdmin["object"]>>;
type LockReport = Awaited<ReturnType<ObjectsAdmin["lock"]>>;
type Wait = LockReport["deadlock"][number];

/** Who holds or waits, as the manager knows them. */
interface Party {
  readonly session: number;
  /** 0 for the session's opener itself; others are workers of an agent. */
  readonly owner: number;
  readonly description: string;
}

/** `heddle describe object`: labels and values. */
export function objectRows({ object, description }: ObjectReport): [string, string][] {
  const { object: id, spec, items, bytes, waiting, created, changed, session } = object;
  return [
    ["Name", nameOf(id)],
    ["Kind", spec],
    ["Items", String(items)],
    ["Bytes", String(bytes)],
    ["Waiting", String(waiting)],
    ["Created", `revision ${created}`],
    ["Changed", `revision ${changed}`],
    ["Lives", session === 0 ? "for good" : `as long as ${partyText({ session, owner: 0, description })}`],
  ];
}

/** `heddle describe lock`: labels and values; more rows of a label follow with none. */
export function lockRows({ lock, queue, deadlock }: LockReport): [string, string][] {
  const { object, kind, free, holders, held, waiting, brokenReason } = lock;
  const rows: [string, string][] = [
    ["Name", nameOf(object)],
    ["Kind", kind],
  ];
  if (kind === "semaphore") rows.push(["Free", String(free)]);
  rows.push(...labelled("Held by", holders.map(holderText), held));
  rows.push(...labelled("Waiting", queue.map(waiterText), waiting));
  if (brokenReason !== "") rows.push(["Broken", brokenReason]);
  if (deadlock.length > 0) rows.push(["Deadlock", deadlockText(deadlock)]);
  return rows;
}

/** `heddle why lock`: sentences, a line each. */
export function whyLines(report: LockReport): string[] {
  const { lock, queue, waits, deadlock } = report;
  const name = nameOf(lock.object);
  const lines = stateLines(lock);
  if (lock.waiting > 0) {
    lines.push(
      `${lock.waiting} ${lock.waiting === 1 ? "waits" : "wait"} for it${lock.waiting > 1 ? ", the next one first" : ""}:`,
    );
    lines.push(...indented(queue.map(waiterText), lock.waiting));
  }
  if (waits.length > 0) {
    lines.push("Who waits for whom:");
    lines.push(...indented(waits.map(waitText), waits.length));
  }
  if (lock.brokenReason !== "")
    lines.push(`An administrator took it from its holder last because: ${lock.brokenReason}`);
  if (deadlock.length > 0) {
    lines.push(`Deadlock: ${deadlockText(deadlock)}.`);
    lines.push(
      `None of them goes on by itself, unless it does several things at a time. "heddle break lock ${name}" takes ${name} from its holder.`,
    );
  }
  return lines;
}

/** A circle of waits in words: each holds what the one before waits for. */
function deadlockText(circle: readonly Wait[]): string {
  const sentences = circle.map((wait, at) => {
    const held = circle.at(at - 1);
    return `${partyText(wait)} holds ${nameOf(held?.lock ?? "")} and waits for ${nameOf(wait.lock)}`;
  });
  return sentences.join("; ");
}

function stateLines({ kind, object, held, free, holders }: LockReport["lock"]): string[] {
  const what = `${kind}/${nameOf(object)}`;
  const [first] = holders;
  if (first === undefined) return [`${what} is free: nobody holds it.`];
  if (kind !== "semaphore") return [`${what} is held by ${holderText(first)}.`];
  const permits = free === 1 ? "1 permit" : `${free} permits`;
  return [`${what} has ${permits} free; held by:`, ...indented(holders.map(holderText), held)];
}

function holderText(holder: LockReport["lock"]["holders"][number]): string {
  const permits = holder.permits === 1 ? "" : `, ${holder.permits} permits`;
  return `${partyText(holder)} for ${duration(holder.heldMs)}, token ${holder.token}${permits}`;
}

function waiterText(waiter: LockReport["queue"][number]): string {
  return `${partyText(waiter)} for ${duration(waiter.waitedMs)}`;
}

function waitText(wait: Wait): string {
  const holder = { session: wait.holderSession, owner: wait.holderOwner, description: wait.holderDescription };
  return `${partyText(wait)} waits for ${nameOf(wait.lock)}, which ${partyText(holder)} holds`;
}

function partyText({ session, owner, description }: Party): string {
  const who = owner === 0 ? `session ${session}` : `owner ${owner} of session ${session}`;
  return description === "" ? who : `${who} (${description})`;
}

function labelled(label: string, texts: readonly string[], count: number): [string, string][] {
  const [first = "nobody", ...others] = indented(texts, count).map((text) => text.trim());
  return [[label, first], ...others.map((text): [string, string] => ["", text])];
}

/** A line for each, and one for those that were not told. */
function indented(texts: readonly string[], count: number): string[] {
  const rest = count - texts.length;
  return [...texts, ...(rest > 0 ? [`and ${rest} more`] : [])].map((text) => `  ${text}`);
}

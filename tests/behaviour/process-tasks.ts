/** Targets of processes. Those that share nothing else with the test tell what they see by files in a directory. */
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import {
  activeChildren,
  type Connection,
  cpuCount,
  currentProcess,
  Process,
  parentProcess,
  type Queue,
  wait,
} from "heddle";
import { meet, passGate } from "../harness/gate.ts";

const forEver = (): Promise<never> => new Promise(() => undefined);

/** Says something for the test to read. */
export function report(directory: string, name: string, value: unknown): void {
  writeFileSync(join(directory, name), JSON.stringify(value));
}

/** Sleeps until it is ended. */
export async function sleeps(): Promise<never> {
  return await forEver();
}

/** Computes until it is ended: nothing that is sent to it is read. */
export function computes(): never {
  for (;;);
}

export async function waitsAt(gate: string): Promise<void> {
  await passGate(gate);
}

export async function waitsOn(queue: Queue): Promise<void> {
  await queue.get();
}

export async function exits(exitCode: number): Promise<never> {
  process.exit(exitCode);
}

/** Sets its status and returns. */
export function setsStatus(exitCode: number): void {
  process.exitCode = exitCode;
}

/** Returns what cannot travel, and leaves a timer. */
export function returnsFunction(): () => void {
  setInterval(() => undefined, 1_000);
  return () => undefined;
}

class NoSuchThing extends Error {
  override readonly name = "NoSuchThing";
}

function deeper(what: string): never {
  throw new NoSuchThing(`no ${what}`, { cause: new TypeError("for a reason") });
}

export async function fails(what: string): Promise<never> {
  await Promise.resolve();
  return deeper(what);
}

export async function throwsLater(): Promise<never> {
  setTimeout(() => deeper("later"), 1);
  return await forEver();
}

export function throwsText(): never {
  throw "only words";
}

export function prints(lines: number): void {
  for (let line = 1; line <= lines; line++) console.log(`line ${line}`);
  process.stderr.write("an open end");
}

/** Ends only when it is asked for the second time. */
export async function refusesOnce(directory: string): Promise<never> {
  let asked = 0;
  process.on("SIGTERM", () => {
    asked++;
    report(directory, "asked", asked);
    if (asked === 2) process.exit(5);
  });
  report(directory, "listens", process.pid);
  setInterval(() => undefined, 1_000);
  return await forEver();
}

/** Takes no note of SIGTERM. */
export async function deaf(): Promise<never> {
  process.on("SIGTERM", () => undefined);
  return await forEver();
}

export async function meetsOthers(gate: string, name: string, count: number): Promise<void> {
  await meet(gate, name, count);
}

export function adds(
  directory: string,
  bytes: Uint8Array,
  f: (n: number) => number,
  more: { readonly n: number },
): void {
  report(directory, "sum", f(bytes.reduce((sum, byte) => sum + byte, 0)) + more.n);
}

export function knowsItself(directory: string): void {
  const { name, pid, daemon, node, exitCode } = currentProcess();
  const parent = parentProcess();
  const mine = { name, isMyPid: pid === process.pid, daemon, node, exitCode };
  report(directory, "itself", { ...mine, parent: parent?.name, parentPid: parent?.pid, isAlive: parent?.isAlive() });
}

/** A tree of processes, each of which says where it is. */
export async function branches(reports: Connection, path: readonly number[]): Promise<void> {
  await reports.send({ path, name: currentProcess().name });
  if (path.length === 2) return;
  const children = [0, 1].map((at) => new Process({ target: branches, args: [reports, [...path, at]] }));
  for (const child of children) {
    await child.start();
    await child.join();
    if (child.exitCode !== 0) throw new Error(`${child.name} ended with ${child.exitCode}`);
  }
}

/** What a process sees of its parent before and after that one's end. */
async function watchesParent(directory: string): Promise<void> {
  const parent = parentProcess();
  if (parent === null) throw new Error("no parent");
  await parent.join({ timeoutMs: 0 });
  report(directory, "before", { name: parent.name, pid: parent.pid, alive: parent.isAlive() });
  await parent.join();
  const ready = await wait([parent], { timeoutMs: 0 });
  report(directory, "after", { alive: parent.isAlive(), waited: ready[0] === parent });
}

/** Has a child that watches it, and sleeps. */
export async function isWatched(directory: string, daemon: boolean): Promise<never> {
  const child = new Process({ target: watchesParent, args: [directory], daemon });
  await child.start();
  report(directory, "child", child.pid);
  return await forEver();
}

/** Leaves two children: the one that is no daemon it outlives. */
export async function leavesChildren(directory: string, gate: string): Promise<void> {
  const bound = new Process({ target: sleeps, daemon: true });
  const free = new Process({ target: waitsAt, args: [gate] });
  await Promise.all([bound.start(), free.start()]);
  const children = activeChildren().map(({ name }) => name);
  report(directory, "children", { children, pids: [bound.pid, free.pid], daemons: [bound.daemon, free.daemon] });
}

/** A daemon's child is one, too. */
export async function inherits(directory: string): Promise<void> {
  const child = new Process({ target: knowsItself, args: [directory] });
  await child.start();
  await child.join();
}

/** In a pool's task: what a process of its own ends with, and what it is itself. */
export async function startsOne(exitCode: number): Promise<readonly unknown[]> {
  const child = new Process({ target: exits, args: [exitCode] });
  await child.start();
  await child.join();
  const { name, pid, daemon } = currentProcess();
  return [child.exitCode, name === `PoolWorker-${process.pid}`, pid === process.pid, daemon, (await cpuCount()) > 0];
}

/** Keeps a process of its own, and the task, running. */
export async function startsAndSleeps(directory: string): Promise<never> {
  const child = new Process({ target: sleeps });
  await child.start();
  report(directory, "child", child.pid);
  return await forEver();
}

import { existsSync, readFileSync } from "node:fs";
import { didYouMean, exitCodes } from "@heddle/adapter-command";
import { ownNodeName } from "@heddle/adapter-system";
import { NotFoundError, StateError } from "@heddle/kernel";
import { type Fabric, type NodesAdmin, nodesAdmin } from "heddle";
import { withFabric } from "./client.ts";
import { duration, plainText } from "./format.ts";
import { countText } from "./node-words.ts";
import type { Print } from "./questions.ts";
import type { Target } from "./targets.ts";

type NodeStatus = Awaited<ReturnType<NodesAdmin["drain"]>>;

/** Which nodes are meant, by their whole names, and why. */
export interface Nodes extends Target {
  readonly names: readonly string[];
  readonly reason: string | undefined;
}

/** What `heddle drain` was told. */
export interface DrainCommand extends Nodes {
  readonly deadlineMs: number;
  /** The agent is about to be stopped. */
  readonly leaving: boolean;
  readonly wait: boolean;
}

/** How often a node that is drained is looked at. */
const LOOK_MS = 500;

/** `heddle cordon NODE...`: all of them, or none when one is not there. */
export function cordon(nodes: Nodes, print: Print): Promise<void> {
  return withFabric(nodes, async (fabric) => {
    await mustBeThere(fabric, nodes.names);
    await cordonAll(nodesAdmin(fabric), nodes, print);
  });
}

/** `heddle uncordon NODE...` */
export function uncordon({ names, ...target }: Nodes, print: Print): Promise<void> {
  return withFabric(target, async (fabric) => {
    for (const name of names) {
      const changed = await nodesAdmin(fabric).uncordon(name).catch(hinting(fabric, name));
      print(`node/${name} ${changed ? "uncordoned" : "was not cordoned"}\n`);
    }
  });
}

/** `heddle drain NODE...`. Throws StateError when somebody undoes it before the nodes are empty. */
export function drain(command: DrainCommand, print: Print): Promise<void> {
  const { names, deadlineMs, reason, leaving, wait } = command;
  return withFabric(command, async (fabric) => {
    const admin = nodesAdmin(fabric);
    if (!leaving) await mustBeThere(fabric, names);
    if (names.length > 1) await cordonAll(admin, command, print);
    for (const name of names) {
      const node = await admin.drain(name, { deadlineMs, reason, leaving });
      if (!wait) print(`node/${name} ${node.state}\n`);
    }
    if (!wait) return;
    const interrupted = (): void => {
      console.error('No longer waiting. The drain goes on: "heddle get nodes" shows it, "heddle uncordon" undoes it.');
      process.exit(exitCodes.interrupted);
    };
    process.once("SIGINT", interrupted);
    const undone = (await Promise.all(names.map((name) => watch(admin, name, print)))).filter((end) => end !== "");
    process.off("SIGINT", interrupted);
    if (undone.length > 0) throw new StateError(undone.join("; "));
  });
}

/** The node of the agent that this environment has started, as that has written down, or would start. */
export function ownName(): string {
  const { HEDDLE_NAME: name = "", HEDDLE_DATA_DIR: dataDir = "", HEDDLE_ADDRESS_FILE: file = "" } = process.env;
  if (name !== "") return name;
  return nodeIn(file) ?? ownNodeName(dataDir === "" ? undefined : dataDir);
}

/** The node that the agent with this --address-file is; undefined when there is no such file. */
function nodeIn(file: string): string | undefined {
  if (file === "" || !existsSync(file)) return undefined;
  const { node }: { readonly node?: unknown } = JSON.parse(readFileSync(file, "utf8"));
  return typeof node === "string" ? node : undefined;
}

async function cordonAll(admin: NodesAdmin, { names, reason }: Nodes, print: Print): Promise<void> {
  for (const name of names) {
    const changed = await admin.cordon(name, { reason });
    print(`node/${name} ${changed ? "cordoned" : "already cordoned"}\n`);
  }
}

/** Tells of each step until the node is empty or gone. Resolves to why it will not be, else to nothing. */
async function watch(admin: NodesAdmin, name: string, print: Print): Promise<string> {
  let told = "";
  for (;;) {
    const node = await statusOf(admin, name);
    if (node === undefined) {
      print(`node/${name} gone\n`);
      return "";
    }
    if (node.state === "drained") {
      print(`node/${name} drained\n`);
      tellStopped(node);
      return "";
    }
    if (node.state !== "draining") return `node/${name} was uncordoned before it was drained: it is ${node.state}`;
    const left = leftText(node);
    const silent = node.silentMs > 0 ? "; nothing is heard of it now" : "";
    if (left + silent !== told) console.error(`node/${name} draining: ${left} left${whenText(node)}${silent}`);
    told = left + silent;
    await new Promise((resolve) => setTimeout(resolve, LOOK_MS));
  }
}

async function statusOf(admin: NodesAdmin, name: string): Promise<NodeStatus | undefined> {
  try {
    return (await admin.node(name)).node;
  } catch (error) {
    if (error instanceof NotFoundError) return undefined;
    throw error;
  }
}

function leftText({ chunks, processes }: NodeStatus): string {
  return processes === 0
    ? countText(chunks, "chunk")
    : `${countText(chunks, "chunk")} and ${countText(processes, "process")}`;
}

function whenText({ drainLeftMs }: NodeStatus): string {
  return drainLeftMs === 0 ? ", being stopped" : `, to be stopped in ${duration(drainLeftMs)}`;
}

function tellStopped({ name, drainStoppedChunks: chunks, drainStoppedProcesses: processes }: NodeStatus): void {
  if (chunks > 0)
    console.error(`node/${plainText(name)}: ${countText(chunks, "chunk")} stopped at the deadline, to run elsewhere`);
  if (processes > 0)
    console.error(`node/${plainText(name)}: ${countText(processes, "process")} stopped at the deadline`);
}

/** Throws NotFoundError, with the names that may be meant. */
async function mustBeThere(fabric: Fabric, names: readonly string[]): Promise<void> {
  const known = new Set((await fabric.nodes()).map(({ name }) => name));
  for (const name of names) if (!known.has(name)) throw new NotFoundError(noNode(name, known));
}

function hinting(fabric: Fabric, name: string) {
  return async (cause: unknown): Promise<never> => {
    if (!(cause instanceof NotFoundError)) throw cause;
    const known = (await fabric.nodes()).map((node) => node.name);
    throw new NotFoundError(noNode(name, known), { cause });
  };
}

function noNode(name: string, known: Iterable<string>): string {
  return `there is no node ${JSON.stringify(name)}${didYouMean(name, [...known].map(plainText))}`;
}

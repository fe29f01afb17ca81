import { HeddleError, unreachable } from "@heddle/kernel";
import type { Fabric } from "heddle";
import { withFabric } from "./client.ts";
import { build } from "./config.ts";
import { duration, plainText } from "./format.ts";
import { jobs, type Kind, kindNames, kindOf, named, nodes } from "./kinds.ts";
import { documentText, type OutputFormat } from "./output.ts";
import { locks, objects, sessions } from "./shared-kinds.ts";
import { Table } from "./table.ts";
import type { Target } from "./targets.ts";

/** Where answers go: standard output, in whole lines. */
export type Print = (text: string) => void;

/** What `heddle get` was told. */
export interface GetOptions extends Target {
  readonly output: OutputFormat;
  readonly headings: boolean;
  readonly watch: boolean;
}

/** How often a watched list is asked for. */
const WATCH_MS = 1_000;

/** `heddle get KIND [NAME]`. */
export function get(word: string, name: string | undefined, options: GetOptions, print: Print): Promise<void> {
  const kind = kindOf("get", word, kindNames);
  return withFabric(options, (fabric) => {
    switch (kind) {
      case "nodes":
        return list(nodes, fabric, name, options, print);
      case "jobs":
        return list(jobs, fabric, name, options, print);
      case "objects":
        return list(objects, fabric, name, options, print);
      case "locks":
        return list(locks, fabric, name, options, print);
      case "sessions":
        return list(sessions, fabric, name, options, print);
      default:
        return unreachable(kind);
    }
  });
}

async function list<T extends object>(
  kind: Kind<T>,
  fabric: Fabric,
  name: string | undefined,
  options: GetOptions,
  print: Print,
): Promise<void> {
  const ask = async (): Promise<readonly T[]> => {
    if (name === undefined) return await kind.list(fabric);
    return [kind.find === undefined ? named(kind, await kind.list(fabric), name) : await kind.find(fabric, name)];
  };
  const show = printer(kind, options, print);
  const items = await ask();
  if (items.length === 0 && !options.watch && isTable(options.output)) console.error(`There are no ${kind.title}.`);
  else if (name !== undefined || options.watch) show(items);
  else if (isTable(options.output)) show(items);
  else print(documentText(options.output, items));
  if (options.watch) await follow(kind, items, ask, show);
}

/** Shows what is new or changed, for as long as the server answers. */
async function follow<T extends object>(
  kind: Kind<T>,
  shown: readonly T[],
  ask: () => Promise<readonly T[]>,
  show: (items: readonly T[]) => void,
): Promise<never> {
  const key = (item: T): string => kind.names(item)[0] ?? "";
  let known = new Map(shown.map((item) => [key(item), signature(kind, item)]));
  for (;;) {
    await new Promise((resolve) => setTimeout(resolve, WATCH_MS));
    const items = await ask();
    show(items.filter((item) => known.get(key(item)) !== signature(kind, item)));
    const now = new Map(items.map((item) => [key(item), signature(kind, item)]));
    for (const gone of known.keys()) if (!now.has(gone)) console.error(`${plainText(gone)} is gone`);
    known = now;
  }
}

function signature<T extends object>(kind: Kind<T>, item: T): string {
  return JSON.stringify(item, (field, value: unknown) => (kind.restless.includes(field) ? undefined : value));
}

/** Shows items one by one: as rows, or as a document each. */
function printer<T>(kind: Kind<T>, options: GetOptions, print: Print): (items: readonly T[]) => void {
  const { output } = options;
  if (output === "json" || output === "yaml") {
    const separator = output === "yaml" && options.watch ? "---\n" : "";
    return (items) => {
      for (const item of items) print(separator + documentText(output, item));
    };
  }
  const columns = kind.columns.map((column) => ({ ...column, cell: (item: T) => plainText(column.cell(item)) || "-" }));
  const table = new Table(columns, { wide: output === "wide", headings: options.headings });
  return (items) => {
    for (const line of table.lines(items)) print(`${line}\n`);
  };
}

/** Whether an answer is for people. */
export function isTable(output: OutputFormat): output is "table" | "wide" {
  return output === "table" || output === "wide";
}

/** `heddle status`. */
export function status(target: Target, output: OutputFormat, print: Print): Promise<void> {
  const { address } = target;
  return withFabric(target, async (fabric) => {
    const answer = { address, ...(await fabric.status()) };
    if (!isTable(output)) return print(documentText(output, answer));
    const { nodes: nodeCount, slots, chunksPlaced, chunksWaiting } = answer;
    const rows: [string, string][] = [
      ["Coordinator", `${address} (build ${answer.build}, pid ${answer.pid}, up ${duration(answer.uptimeMs)})`],
      ["Nodes", [`${nodeCount} ready`, ...otherNodes(answer)].join(", ")],
      ["Slots", String(slots)],
      ["Chunks", `${chunksPlaced} placed, ${chunksWaiting} waiting`],
      ["Jobs", `${answer.jobs} open`],
      ["Clients", String(answer.clients)],
      ["Manager", answer.manager === "" ? "none: no shared objects, no locks" : answer.manager],
    ];
    if (output === "wide") rows.push(["Server id", answer.serverId]);
    printRows(rows, print);
    if (nodeCount === 0) console.error(`No node takes work: ${whyNone(answer)}`);
  });
}

type Status = Awaited<ReturnType<Fabric["status"]>>;

function otherNodes({ nodesCordoned, nodesExcluded, nodesSilent }: Status): string[] {
  const others: [number, string][] = [
    [nodesCordoned, "cordoned"],
    [nodesExcluded, "excluded"],
    [nodesSilent, "silent"],
  ];
  return others.flatMap(([count, what]) => (count === 0 ? [] : [`${count} ${what}`]));
}

function whyNone({ nodesCordoned, nodesSilent }: Status): string {
  if (nodesCordoned > 0)
    return 'they are cordoned. "heddle get nodes -o wide" says why, and "heddle uncordon NODE" ends it.';
  if (nodesSilent > 0) return 'nothing is heard of them. "heddle get nodes" shows where they are.';
  return 'start one with "heddle agent".';
}

/** Labels and values below each other; a row without a label goes on with the one above. */
export function printRows(rows: readonly (readonly [string, string])[], print: Print): void {
  for (const [label, value] of rows) print(`${(label === "" ? "" : `${label}:`).padEnd(13)}${plainText(value)}\n`);
}

/** `heddle version`: this command's, and the coordinator's when one answers. */
export async function version(target: Target, output: OutputFormat, print: Print): Promise<void> {
  const client = { build: build(), node: process.versions.node };
  const { address } = target;
  const server = await withFabric(target, (fabric) => fabric.status()).then(
    (answer) => ({ build: answer.build, address }),
    (error: unknown) => {
      if (error instanceof HeddleError && (error.code === "unavailable" || error.code === "timeout")) return undefined;
      throw error;
    },
  );
  if (!isTable(output)) return print(documentText(output, server === undefined ? { client } : { client, server }));
  print(`Client: ${client.build} (Node ${client.node})\n`);
  if (server === undefined) console.error(`Server: none answers at ${address}`);
  else print(`Server: ${plainText(server.build)} (${server.address})\n`);
}

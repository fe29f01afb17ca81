import { didYouMean } from "@heddle/adapter-command";
import { InvalidArgumentError, NotFoundError } from "@heddle/kernel";
import type { Fabric } from "heddle";
import { duration } from "./format.ts";
import { pairsText } from "./node-words.ts";
import type { Column } from "./table.ts";

type NodeStatus = Awaited<ReturnType<Fabric["nodes"]>>[number];
type JobStatus = Awaited<ReturnType<Fabric["jobs"]>>[number];

/** Something that `heddle get` lists. */
export interface Kind<T> {
  /** In the plural, for people. */
  readonly title: string;
  readonly list: (fabric: Fabric) => Promise<readonly T[]>;
  /** The item that a name means, where the server knows; else `named` picks it from the list. */
  readonly find?: (fabric: Fabric, name: string) => Promise<T>;
  /** What names an item, most exact first. */
  readonly names: (item: T) => readonly string[];
  /** Fields that change without anything happening. */
  readonly restless: readonly string[];
  readonly columns: readonly Column<T>[];
}

export const nodes: Kind<NodeStatus> = {
  title: "nodes",
  list: (fabric) => fabric.nodes(),
  names: ({ name }) => [name],
  restless: ["ageMs", "drainLeftMs", "endsLeftMs", "excludedLeftMs", "heardMs", "silentMs"],
  columns: [
    { heading: "NAME", cell: ({ name }) => name },
    { heading: "STATE", cell: ({ state }) => state },
    { heading: "SLOTS", cell: ({ slots }) => String(slots) },
    { heading: "CHUNKS", cell: ({ chunks }) => String(chunks) },
    { heading: "AGE", cell: ({ ageMs }) => duration(ageMs) },
    { heading: "ENDS", cell: ({ endsLeftMs }) => (endsLeftMs === 0 ? "-" : duration(endsLeftMs)), isWide: true },
    { heading: "CREDIT", cell: ({ credit }) => String(credit), isWide: true },
    { heading: "INCARNATION", cell: ({ incarnation }) => String(incarnation), isWide: true },
    { heading: "HOST", cell: ({ host }) => host, isWide: true },
    { heading: "PID", cell: ({ pid }) => String(pid), isWide: true },
    { heading: "BUILD", cell: ({ build }) => build, isWide: true },
    { heading: "LABELS", cell: ({ labels }) => pairsText(labels), isWide: true },
    { heading: "RESOURCES", cell: ({ resources }) => pairsText(resources), isWide: true },
    { heading: "PROCESSES", cell: ({ processes }) => String(processes), isWide: true },
    { heading: "IDENTITY", cell: ({ identity }) => identity, isWide: true },
    { heading: "REASON", cell: ({ reason }) => reason, isWide: true },
  ],
};

export const jobs: Kind<JobStatus> = {
  title: "jobs",
  list: (fabric) => fabric.jobs(),
  names: ({ jobId, name }) => [jobId, name],
  restless: ["ageMs"],
  columns: [
    { heading: "ID", cell: ({ jobId }) => jobId },
    { heading: "NAME", cell: ({ name }) => name },
    { heading: "STATE", cell: ({ state }) => state },
    { heading: "KEPT", cell: (job) => keptText(job) },
    { heading: "ITEMS", cell: ({ itemsDone, itemsOffered }) => `${itemsDone}/${itemsOffered}` },
    { heading: "CHUNKS", cell: ({ chunksDone, chunksOffered }) => `${chunksDone}/${chunksOffered}` },
    { heading: "AGE", cell: ({ ageMs }) => duration(ageMs) },
    { heading: "DURATION", cell: ({ durationMs }) => (durationMs === 0 ? "-" : duration(durationMs)) },
    { heading: "PLACED", cell: ({ chunksPlaced }) => String(chunksPlaced), isWide: true },
    { heading: "CLIENT", cell: ({ client }) => client, isWide: true },
    { heading: "IDENTITY", cell: ({ identity }) => identity, isWide: true },
    { heading: "FAILURE", cell: ({ failure }) => (failure === "" ? "-" : failure), isWide: true },
  ],
};

/** Whether the fabric keeps it: what becomes of it without its client. */
function keptText({ kept, detached }: Pick<JobStatus, "kept" | "detached">): string {
  if (!kept) return "-";
  return detached ? "detached" : "yes";
}

/** What `heddle get` lists. */
export const kindNames = ["nodes", "jobs", "objects", "locks", "sessions"] as const;
/** Those, and what can be asked about by other commands. */
export type KindName = (typeof kindNames)[number] | "chunks" | "items";

const spellings: ReadonlyMap<string, KindName> = new Map([
  ["nodes", "nodes"],
  ["node", "nodes"],
  ["no", "nodes"],
  ["jobs", "jobs"],
  ["job", "jobs"],
  ["objects", "objects"],
  ["object", "objects"],
  ["locks", "locks"],
  ["lock", "locks"],
  ["sessions", "sessions"],
  ["session", "sessions"],
  ["chunks", "chunks"],
  ["chunk", "chunks"],
  ["items", "items"],
  ["item", "items"],
]);

/** The kind a word means, of those that a command knows. Throws InvalidArgumentError. */
export function kindOf<K extends KindName>(verb: string, word: string, kinds: readonly K[]): K {
  const meant = spellings.get(word);
  const kind = kinds.find((each) => each === meant);
  if (kind !== undefined) return kind;
  const known = [...spellings].flatMap(([spelling, each]) => (kinds.some((one) => one === each) ? [spelling] : []));
  const wrong = meant === undefined ? `there is no kind ${JSON.stringify(word)}` : `not for ${meant}`;
  const hint = meant === undefined ? didYouMean(word, known) : "";
  throw new InvalidArgumentError(`${wrong}: ${verb} ${kinds.join(", ").replace(/, (?=[^,]*$)/, " or ")}${hint}`);
}

/** The items that a name means: that of exactly this name, else the only one whose name begins so. Throws NotFoundError. */
export function named<T>(kind: Kind<T>, items: readonly T[], name: string): T {
  const exact = items.find((item) => kind.names(item).includes(name));
  if (exact !== undefined) return exact;
  const found = items.filter((item) => kind.names(item).some((full) => full.startsWith(name)));
  const [only] = found;
  if (only === undefined) throw new NotFoundError(`there is no ${kind.title.slice(0, -1)} ${JSON.stringify(name)}`);
  if (found.length === 1) return only;
  const names = found
    .map((item) => kind.names(item)[0])
    .slice(0, 10)
    .join(", ");
  throw new NotFoundError(`${JSON.stringify(name)} is the beginning of ${found.length} ${kind.title}: ${names}`);
}

import type { NodesAdmin } from "heddle";
import { duration } from "./format.ts";

type NodeReport = Awaited<ReturnType<NodesAdmin["node"]>>;

/** `heddle describe node`: labels and values; more rows of a label follow with none. */
export function nodeRows({ node, jobs, processes, tally, lostBefore }: NodeReport): [string, string][] {
  const { name, reason, slots, chunks, credit, ageMs, incarnation, host, pid, build, labels, resources } = node;
  const rows: [string, string][] = [
    ["Name", name],
    ["State", stateText(node)],
  ];
  if (reason !== "") rows.push(["Reason", reason]);
  rows.push(
    ["Agent", `pid ${pid} on ${host}, build ${build}`],
    ["Joined", `${duration(ageMs)} ago, incarnation ${incarnation}`],
    ["Ends", node.endsLeftMs === 0 ? "-" : `in ${duration(node.endsLeftMs)}, as its agent says`],
    ["Slots", String(slots)],
    ["Labels", pairsText(labels)],
    ["Resources", pairsText(resources)],
    ["Chunks", `${chunks} placed, ${credit} at most`],
    ...labelled(
      "Jobs",
      jobs.map(
        (job) =>
          `${countText(job.chunks, "chunk")} of ${job.name} (${job.jobId}) for ${duration(job.longestMs)}, of ${job.client}`,
      ),
    ),
    ...labelled(
      "Processes",
      processes.map(
        (one) =>
          `${one.name} (${one.pid === 0 ? "starting" : `pid ${one.pid}`}) for ${duration(one.ageMs)}, of ${one.client}`,
      ),
    ),
    ["Finished", tallyText(tally)],
  );
  if (lostBefore > 0) rows.push(["Lost", `${countText(lostBefore, "attempt")}, with earlier agents of this name`]);
  return rows;
}

/** So many of something, in words. */
export function countText(count: number, what: "chunk" | "process" | "attempt"): string {
  const plural = what === "process" ? "processes" : `${what}s`;
  return `${count} ${count === 1 ? what : plural}`;
}

/** Names and their values; "-" for none. */
export function pairsText(pairs: Readonly<Record<string, string | number>>): string {
  const texts = Object.entries(pairs).map(([key, value]) => `${key}=${value}`);
  return texts.length === 0 ? "-" : texts.sort().join(",");
}

function stateText({ state, silentMs, drainLeftMs }: NodeReport["node"]): string {
  const silent = silentMs > 0 ? `, nothing heard for ${duration(silentMs)}` : "";
  if (state !== "draining") return state + silent;
  return `${state}${drainLeftMs > 0 ? `, what is left is stopped in ${duration(drainLeftMs)}` : ""}${silent}`;
}

/** What did not simply end well is named where it has happened. */
function tallyText(tally: NodeReport["tally"]): string {
  const others: [number, string][] = [
    [tally.itemFailures, "with a failed item"],
    [tally.workerDeaths, "lost with their worker"],
    [tally.startFaults, "without a worker that starts"],
    [tally.initFailures, "whose initializer failed"],
    [tally.givenBack, "given back"],
    [tally.stopped, "stopped"],
  ];
  const told = others.flatMap(([count, what]) => (count === 0 ? [] : [`${count} ${what}`]));
  return [`${tally.done} chunks done`, ...told].join(", ");
}

function labelled(label: string, lines: readonly string[]): [string, string][] {
  return lines.length === 0 ? [[label, "-"]] : lines.map((line, at) => [at === 0 ? label : "", line]);
}

import type { JobsAdmin } from "heddle";
import { duration } from "./format.ts";

type JobReport = Awaited<ReturnType<JobsAdmin["job"]>>;
type ChunkReport = Awaited<ReturnType<JobsAdmin["chunk"]>>;
type Attempt = JobReport["attempts"][number];

/** Characters of an id in a sentence. */
const ID_LENGTH = 12;

/** `heddle why job`: sentences, a line each. */
export function whyJobLines(report: JobReport): string[] {
  const { job, waits, running, runningCount } = report;
  const lines = [stateText(job)];
  if (job.state === "cancelled" && job.failure !== "") lines.push(`Failure: ${job.failure}.`);
  for (const wait of waits) lines.push(waitText(wait));
  if (runningCount > 0) {
    lines.push(`${runningCount === 1 ? "1 chunk is" : `${runningCount} chunks are`} on nodes, the oldest first:`);
    lines.push(...indented(running.map(runningText), runningCount), ...indented(nodeTexts(report)));
  }
  if (waits.length === 0 && runningCount === 0 && job.state === "running")
    lines.push("Nothing of it waits or runs: its program has not sent more of it yet.");
  lines.push(...troubleLines(report.attempts));
  return lines;
}

/** `heddle why chunk` and `heddle why item`: sentences, a line each. */
export function whyChunkLines(report: ChunkReport): string[] {
  const { chunk, job, running, runningCount, attempts } = report;
  const lines = [chunkText(chunk, jobText(job))];
  for (const span of chunk.spans) {
    const items = itemsText(chunk.firstIndex + span.offset, span.count);
    lines.push(`  ${items} ${spanText(span)}${historyText(span)}`);
  }
  if (runningCount > 0) lines.push(...indented(running.map(runningText), runningCount), ...indented(nodeTexts(report)));
  lines.push(...troubleLines(attempts));
  return lines;
}

/** `heddle describe job`: labels and values; more rows of a label follow with none. */
export function jobRows(report: JobReport): [string, string][] {
  const { job, waits, running, runningCount, attempts, poolSlotsMax } = report;
  const { jobId, name, state, itemsDone, itemsOffered, chunksDone, chunksOffered, ageMs, durationMs, failure } = job;
  const rows: [string, string][] = [
    ["Id", jobId],
    ["Name", name],
    ["State", state],
  ];
  if (failure !== "") rows.push(["Failure", failure]);
  rows.push(
    ["Client", job.client],
    ["Kept", keptRow(job)],
    ["Opened", `${duration(ageMs)} ago`],
    ["Duration", durationMs === 0 ? "-" : duration(durationMs)],
    ["Items", `${itemsDone} of ${itemsOffered} have their result`],
    ["Chunks", `${chunksDone} of ${chunksOffered} done`],
    ["Pool", poolSlotsMax === 0 ? "all slots" : `${poolSlotsMax} at a time`],
    ...labelled("Waiting", waits.map(waitText)),
    ...labelled("On nodes", listed(running.map(runningText), runningCount)),
    ...labelled("Nodes", nodeTexts(report)),
    ...labelled("Attempts", attempts.flatMap(attemptLines)),
  );
  return rows;
}

/** What becomes of it without its client. */
function keptRow({ kept, detached, listeners }: JobReport["job"]): string {
  if (!kept) return "no: it ends with its client";
  const waiting = listeners === 1 ? "1 client listens" : `${listeners} clients listen`;
  return detached ? `yes, detached: it goes on whoever listens; ${waiting}` : `yes, while somebody listens; ${waiting}`;
}

function stateText(job: JobReport["job"]): string {
  const { state, itemsDone, itemsOffered, ageMs, durationMs, failure, client } = job;
  const items = `${itemsDone} of ${itemsOffered} items have their result`;
  const what = jobText(job);
  if (durationMs === 0) return `${what} is ${state}, opened ${duration(ageMs)} ago by ${client}: ${items}.`;
  const end = `${duration(ageMs - durationMs)} ago, after ${duration(durationMs)}`;
  if (state === "failed") return `${what} failed ${end}${failure === "" ? "" : `: ${failure}`}. ${items}.`;
  return `${what} was ${state} ${end}: ${items}.`;
}

function jobText({ jobId, name }: JobReport["job"]): string {
  const short = jobId.length > ID_LENGTH + 4 ? jobId.slice(0, ID_LENGTH) : jobId;
  return `job/${short}${name === "" ? "" : ` (${name})`}`;
}

function waitText({ cause, chunks, detail, leftMs }: JobReport["waits"][number]): string {
  const left =
    leftMs === 0
      ? ""
      : cause === "lacking"
        ? `; it fails in ${duration(leftMs)}`
        : `, the first in ${duration(leftMs)}`;
  return `${chunks === 1 ? "1 chunk waits" : `${chunks} chunks wait`}: ${detail}${left}.`;
}

function runningText(attempt: Attempt): string {
  const { placedMs, startedMs } = attempt;
  const since = startedMs === 0 ? `placed ${duration(placedMs)} ago` : `running for ${duration(startedMs)}`;
  return `${placeText(attempt)}, ${since}`;
}

function nodeTexts({ nodes }: JobReport): string[] {
  return nodes.map(({ name, state, reason, heardMs }) => {
    const why = reason === "" ? "" : ` (${reason})`;
    return `node ${name}: ${state}${why}, last heartbeat ${duration(heardMs)} ago`;
  });
}

function troubleLines(attempts: readonly Attempt[]): string[] {
  if (attempts.length === 0) return [];
  return ["What did not simply succeed, newest first:", ...indented(attempts.flatMap(attemptLines))];
}

/** What happened, and under it what the worker wrote last. */
function attemptLines(attempt: Attempt): string[] {
  const { endedMs, placedMs, startedMs, pid, stderr, rssBytes } = attempt;
  const ranMs = (startedMs === 0 ? placedMs : startedMs) - endedMs;
  const worker = pid === 0 ? "" : `, worker pid ${pid}`;
  const memory = rssBytes === 0 ? "" : `, with ${Math.round(rssBytes / 1_048_576)} MiB of memory when last seen`;
  const line = `${duration(endedMs)} ago: ${placeText(attempt)}${worker}: ${endText(attempt)} after ${duration(ranMs)}${memory}`;
  return [line, ...stderr.map((text) => `  its stderr: ${text}`)];
}

function placeText({ chunk, firstIndex, count, attempt, node }: Attempt): string {
  return `chunk ${chunk} (${itemsText(firstIndex, count)}), attempt ${attempt}, on node ${node}`;
}

function endText({ state, summary, exitCode, signal }: Attempt): string {
  const more = summary === "" ? "" : ` (${summary})`;
  switch (state) {
    case "worker-death":
      if (signal !== "") return `the worker was killed by ${signal}`;
      return exitCode === undefined ? "the worker died" : `the worker exited with code ${exitCode}`;
    case "item-error":
      return `an item failed by its own error${more}`;
    case "item-overdue":
      return `an item ran for too long${more}`;
    case "start-fault":
      return `no worker could start${more}`;
    case "init-failed":
      return `the pool's initializer failed${more}`;
    case "node-lost":
      return summary === "" ? "the node was lost" : summary;
    case "drained":
      return "taken back, as the node is drained or leaves,";
    case "lifetime":
      return "cut short, as the node came to its end,";
    case "excluded":
      return "taken back, as the node is excluded,";
    case "handed-back":
      return "handed back unbegun, to go where a slot idles,";
    case "overtaken":
      return `another attempt had answered${more}, so it does not count: ended`;
    default:
      return state;
  }
}

function chunkText({ chunk, state, firstIndex, count, spans }: ChunkReport["chunk"], job: string): string {
  const what = chunk === undefined ? "the chunk of that item" : `chunk ${chunk}`;
  if (state === "settled" && count > 0)
    return `${what} of ${job} (${itemsText(firstIndex, count)}) is done: all items have their result.`;
  if (state === "settled") return `${what} of ${job} is settled: each of its items has its result, or was given up.`;
  if (state === "not-offered") return `${what} of ${job} is not there yet: its program has not sent it.`;
  const places = new Set(spans.map(({ offset }) => offset)).size; // two attempts may run of one
  const parts = places === 1 ? "" : `, in ${places} parts`;
  return `${what} of ${job} has ${itemsText(firstIndex, count)}. Not settled${parts}:`;
}

function spanText({ state, attempt, retryMs, node }: ChunkReport["chunk"]["spans"][number]): string {
  if (state === "placed") return `on node ${node}, attempt ${attempt}`;
  if (state === "retry") return `tried ${timesText(attempt)}, again in ${duration(retryMs)}`;
  return attempt === 0 ? "waiting, never tried" : `waiting, tried ${timesText(attempt)}`;
}

function historyText({ failures, deaths, losses }: ChunkReport["chunk"]["spans"][number]): string {
  const parts = [
    failures === 0 ? "" : `failed by its own error ${timesText(failures)}`,
    deaths === 0 ? "" : `a worker died under it ${timesText(deaths)}`,
    losses === 0 ? "" : `its node was lost ${timesText(losses)}`,
  ].filter((part) => part !== "");
  return parts.length === 0 ? "" : ` (${parts.join(", ")})`;
}

function itemsText(first: number, count: number): string {
  return count === 1 ? `item ${first}` : `items ${first}-${first + count - 1}`;
}

function timesText(count: number): string {
  return count === 1 ? "once" : `${count} times`;
}

function labelled(label: string, lines: readonly string[]): [string, string][] {
  return lines.length === 0 ? [[label, "-"]] : lines.map((line, at) => [at === 0 ? label : "", line]);
}

function listed(lines: readonly string[], count: number): string[] {
  const more = count - lines.length;
  return more > 0 ? [...lines, `and ${more} more`] : [...lines];
}

function indented(lines: readonly string[], count = lines.length): string[] {
  return listed(lines, count).map((line) => `  ${line}`);
}

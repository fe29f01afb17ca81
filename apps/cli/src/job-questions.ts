import { InvalidArgumentError } from "@heddle/kernel";
import { type Fabric, jobsAdmin } from "heddle";
import { plainText } from "./format.ts";
import { jobRows, whyChunkLines, whyJobLines } from "./job-words.ts";
import { jobs, named } from "./kinds.ts";
import { documentText, type OutputFormat } from "./output.ts";
import { isTable, type Print, printRows } from "./questions.ts";

/** `heddle describe job NAME`. */
export async function describeJob(fabric: Fabric, name: string, output: OutputFormat, print: Print): Promise<void> {
  const report = await jobsAdmin(fabric).job(await idOf(fabric, name));
  if (isTable(output)) printRows(jobRows(report), print);
  else print(documentText(output, report));
}

/** `heddle why job NAME`. */
export async function whyJob(fabric: Fabric, name: string, output: OutputFormat, print: Print): Promise<void> {
  const report = await jobsAdmin(fabric).job(await idOf(fabric, name));
  if (isTable(output)) printLines(whyJobLines(report), print);
  else print(documentText(output, report));
}

/** What `heddle why chunk|item JOB/N` asks about. */
export interface JobPart {
  readonly job: string;
  readonly which: { readonly chunk: number } | { readonly item: number };
}

/** JOB/N. Throws InvalidArgumentError. */
export function jobPart(kind: "chunks" | "items", name: string): JobPart {
  const [, job, index] = /^(.+)\/(\d{1,15})$/.exec(name) ?? [];
  const word = kind === "chunks" ? "chunk" : "item";
  if (job === undefined)
    throw new InvalidArgumentError(
      `${JSON.stringify(name)} names no ${word}: write JOB/N, N the ${word === "chunk" ? "number of the chunk" : "index of the item"}, from 0`,
    );
  return { job, which: kind === "chunks" ? { chunk: Number(index) } : { item: Number(index) } };
}

/** `heddle why chunk JOB/N` and `heddle why item JOB/N`. */
export async function whyPart(
  fabric: Fabric,
  { job, which }: JobPart,
  output: OutputFormat,
  print: Print,
): Promise<void> {
  const report = await jobsAdmin(fabric).chunk(await idOf(fabric, job), which);
  if (isTable(output)) printLines(whyChunkLines(report), print);
  else print(documentText(output, report));
}

/** A job by its id, the beginning of its id that no other has, or its name; of several of a name the newest. */
async function idOf(fabric: Fabric, name: string): Promise<string> {
  return named(jobs, await jobs.list(fabric), name).jobId;
}

function printLines(lines: readonly string[], print: Print): void {
  for (const line of lines) print(`${plainText(line)}\n`);
}

import { execFile } from "node:child_process";
import { existsSync } from "node:fs";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import type { KubernetesObject } from "./tools.ts";

/** Packages that know kinds, by the ends of their groups. */
const packages = ["kubernetes-models", "@kubernetes-models/prometheus-operator"];
const tsc = join(import.meta.dirname, "../../../node_modules/typescript/bin/tsc");

interface Model {
  readonly validate: () => void;
}

/**
 * What is wrong with objects by the schemas of Kubernetes, each problem with the object it is in: of its JSON schema (types, what is required, formats and
 * ranges), and of its TypeScript interface, which knows all fields there are: one that is misspelt is a problem, too, as is a kind that nobody knows.
 * `models` is the directory with these packages.
 */
export async function problemsOf(objects: readonly KubernetesObject[], models: string): Promise<readonly string[]> {
  const problems: string[] = [];
  const literals: { readonly label: string; readonly text: string }[] = [];
  for (const object of objects) {
    const label = `${object.kind}/${object.metadata?.name}`;
    const id = packages
      .map((name) => `${name}/${object.apiVersion}`)
      .find((path) => existsSync(join(models, "node_modules", path, `${object.kind}.js`)));
    if (id === undefined) {
      problems.push(`${label}: nobody knows ${object.kind} of ${object.apiVersion}`);
      continue;
    }
    problems.push(...(await schemaProblems(object, join(models, "node_modules", id))).map((why) => `${label}: ${why}`));
    literals.push({ label, text: literal(object, id, literals.length) });
  }
  return [...new Set([...problems, ...(await typeProblems(literals, models))])];
}

async function schemaProblems(object: KubernetesObject, directory: string): Promise<readonly string[]> {
  const module = (await import(pathToFileURL(join(directory, `${object.kind}.js`)).href)) as Readonly<
    Record<string, new (object: KubernetesObject) => Model>
  >;
  const Kind = module[object.kind];
  if (Kind === undefined) return [`${directory} has no ${object.kind}`];
  try {
    new Kind(object).validate();
    return [];
  } catch (error) {
    return [error instanceof Error ? error.message : String(error)];
  }
}

/** Two lines, so that a line's number tells whose it is. */
function literal(object: KubernetesObject, id: string, index: number): string {
  const type = `I${object.kind}`;
  return `import type { ${type} as T${index} } from ${JSON.stringify(id)};\nexport const o${index}: T${index} = ${JSON.stringify(object)};`;
}

async function typeProblems(
  literals: readonly { readonly label: string; readonly text: string }[],
  models: string,
): Promise<readonly string[]> {
  if (literals.length === 0) return [];
  const directory = await mkdtemp(join(models, "objects-"));
  try {
    await writeFile(join(directory, "objects.ts"), literals.map(({ text }) => text).join("\n"));
    const told = await compiled(join(directory, "objects.ts"));
    return told.map(({ line, words }) => `${literals[Math.floor((line - 1) / 2)]?.label}: ${words}`);
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
}

/** What the compiler says of a file. Rejects when it says anything of something else. */
function compiled(file: string): Promise<readonly { readonly line: number; readonly words: string }[]> {
  const options = ["--noEmit", "--pretty", "false", "--strict", "--skipLibCheck", "--ignoreConfig", "--types", ""];
  const modules = ["--module", "esnext", "--moduleResolution", "bundler", "--target", "es2022"];
  return new Promise((resolve, reject) => {
    execFile(process.execPath, [tsc, ...options, ...modules, file], { maxBuffer: 1 << 26 }, (_error, stdout) => {
      const lines = stdout.split("\n").filter((line) => /error TS\d+/.test(line));
      const told = lines.map((line) => /objects\.ts\((\d+),\d+\): error TS\d+: (.{1,300})/.exec(line));
      const other = lines.find((_line, index) => told[index] === null);
      if (other !== undefined) return reject(new Error(other));
      resolve(told.flatMap((found) => (found === null ? [] : [{ line: Number(found[1]), words: found[2] ?? "" }])));
    });
  });
}

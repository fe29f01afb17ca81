import { SourceMap } from "node:module";
import { dirname, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import type { Position, Source } from "./graph.ts";

/** The map of a text whose lines are not those of its file, and nobody knows which they are. */
export const NO_LINES = JSON.stringify({ version: 3, names: [], sources: [], mappings: "" });

const maps = new WeakMap<Source, SourceMap>();

/** Where an offset of a script's text is in what the user wrote. */
export function positionOf(source: Source, offset: number): Position {
  const before = source.text.slice(0, offset);
  const line = before.split("\n").length;
  const column = offset - before.lastIndexOf("\n") - 1;
  const file = source.file ?? "";
  if (source.map === undefined) return { file, line };
  const map = mapOf(source, source.map);
  if (map?.payload.mappings === "") return { file, line: 0 };
  const entry = map?.findEntry(line - 1, column);
  if (entry === undefined || !("originalSource" in entry)) return { file, line };
  return { file: sourcePath(entry.originalSource, file), line: entry.originalLine + 1 };
}

/** A source as a map names it, as a path. */
export function sourcePath(named: string, file: string): string {
  if (named.startsWith("file:")) return fileURLToPath(named);
  return /^[a-z][a-z0-9+.-]+:/i.test(named) ? named : resolve(dirname(file), named);
}

function mapOf(source: Source, json: string): SourceMap | undefined {
  let map = maps.get(source);
  if (map !== undefined) return map;
  try {
    map = new SourceMap(JSON.parse(json));
  } catch {
    return undefined; // broken maps cost lines, not calls
  }
  maps.set(source, map);
  return map;
}

import { stringify } from "yaml";
import { plainValue } from "./format.ts";

export const outputFormats = ["table", "wide", "json", "yaml"] as const;
export type OutputFormat = (typeof outputFormats)[number];

/** A value as a document of that format, with its line end. Control characters of the server's texts are left out. */
export function documentText(format: "json" | "yaml", value: unknown): string {
  const plain = plainValue(value);
  return format === "json" ? `${JSON.stringify(plain, undefined, 2)}\n` : stringify(plain);
}

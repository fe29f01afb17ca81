import { count, tlsFilesOf } from "@heddle/adapter-command";
import { askHealth } from "@heddle/adapter-grpc";
import { InvalidArgumentError, StateError, TimeoutError, UnavailableError } from "@heddle/kernel";
import { addressOf } from "./config.ts";
import type { Print } from "./questions.ts";
import { environmentOf, type TargetOptions } from "./targets.ts";

/** What `heddle health` was told. */
export interface HealthOptions extends TargetOptions {
  /** The server's HTTP address. */
  readonly http?: string;
  /** Whether it takes work, instead of whether it lives. */
  readonly ready: boolean;
  /** Milliseconds, as they were typed. */
  readonly timeoutMs: string;
}

const timeout = count("MS", undefined, undefined, { min: 1, max: 600_000 });

/** How much of an answer is shown: a server says one line. */
const ANSWER_CHARS = 200;

/**
 * `heddle health`: asks a server at its HTTP port where one is named, else a coordinator or a manager by grpc.health.v1. Throws StateError when it is not
 * healthy, UnavailableError when nobody answers, TimeoutError when it says nothing in time, InvalidArgumentError for `ready` without an HTTP address.
 */
export async function health(options: HealthOptions, print: Print): Promise<void> {
  const http = options.http ?? (options.address === undefined ? process.env.HEDDLE_HTTP : undefined) ?? "";
  const timeoutMs = timeout.parse([options.timeoutMs]) ?? 0;
  if (options.ready && http === "")
    throw new InvalidArgumentError("--ready is asked over HTTP: say where, with --http or HEDDLE_HTTP");
  print(`${http === "" ? await askGrpc(options, timeoutMs) : await askHttp(http, options.ready, timeoutMs)}\n`);
}

async function askHttp(address: string, ready: boolean, timeoutMs: number): Promise<string> {
  const url = `http://${dialled(address)}/${ready ? "readyz" : "healthz"}`;
  const response = await fetch(url, { signal: AbortSignal.timeout(timeoutMs) }).catch((cause: unknown) => {
    if (cause instanceof DOMException) throw new TimeoutError(`${url}: no answer within ${timeoutMs} ms`, { cause });
    throw new UnavailableError(`nobody answers at ${url}`, { cause });
  });
  const words = (await response.text()).trim().slice(0, ANSWER_CHARS);
  if (!response.ok) throw new StateError(`${url}: ${words === "" ? response.status : words}`);
  return words;
}

/** A server that listens everywhere is here, too. */
function dialled(address: string): string {
  return address.replace(/^0\.0\.0\.0(?=:)/, "127.0.0.1").replace(/^\[::\](?=:)/, "[::1]");
}

async function askGrpc(options: HealthOptions, timeoutMs: number): Promise<string> {
  const address = addressOf(options.address);
  const { HEDDLE_TLS_DIR, HEDDLE_CA_FILE, HEDDLE_CERT_FILE, HEDDLE_KEY_FILE } = environmentOf(options);
  const tls = tlsFilesOf({
    tlsDir: HEDDLE_TLS_DIR || undefined,
    caFile: HEDDLE_CA_FILE || undefined,
    certFile: HEDDLE_CERT_FILE || undefined,
    keyFile: HEDDLE_KEY_FILE || undefined,
  });
  if (await askHealth(address, { tls, timeoutMs })) return "serving";
  throw new StateError(`the server at ${address} is not serving`);
}

import { readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { type TlsFiles, tlsFilesIn } from "@heddle/port-rpc";
import { connect, type Fabric } from "heddle";
import { WORKERS } from "./rows.ts";
import { type RunningProgram, startServer } from "./server-process.ts";

/** By what a client says who it is: a proof of the server's token, which it finds by itself, or a certificate. */
export type Security = "token" | "tls";

/** Where a fabric is, and what its clients show there. */
export interface UpFacts {
  readonly address: string;
  readonly tls?: TlsFiles;
}

/**
 * `heddle up` with one node at a free loopback port, keeping what it keeps below its directory: manager, coordinator and agent are
 * processes of their own. Rejects when it does not serve, or not as securely as it should.
 */
export async function startUp(security: Security): Promise<RunningProgram<UpFacts>> {
  await using scope = new AsyncDisposableStack();
  const cli = fileURLToPath(new URL("../../apps/cli/src/main.ts", import.meta.url));
  const addressFile = (directory: string): string => join(directory, "up.json");
  const up = scope.use(
    await startServer({
      program: process.execPath,
      args: (directory) => [
        ...[...process.execArgv, cli, "up", "--nodes", "1", "--processes", String(WORKERS), "--listen", "127.0.0.1:0"],
        ...["--data-dir", join(directory, "data"), "--address-file", addressFile(directory)],
        ...(security === "tls" ? ["--tls"] : []),
      ],
      served: (line) => (line.startsWith("export HEDDLE_ADDRESS=") ? line : undefined),
    }),
  );
  const { address, tlsDir } = JSON.parse(readFileSync(addressFile(up.directory), "utf8")) as {
    readonly address: string;
    readonly tlsDir?: string;
  };
  if ((tlsDir !== undefined) !== (security === "tls"))
    throw new Error(
      `heddle up was to serve with ${security}, and has ${tlsDir ?? "no directory"} for its certificates`,
    );
  const owned = scope.move();
  return {
    facts: { address, ...(tlsDir === undefined ? {} : { tls: tlsFilesIn(tlsDir) }) },
    directory: up.directory,
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}

export const connectTo = ({ address, tls }: UpFacts): Promise<Fabric> =>
  connect(address, tls === undefined ? {} : { tls });

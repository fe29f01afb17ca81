import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, expect, test } from "vitest";
import { addressFile, heddle, outcome, startHeddle } from "./testing.ts";

const scratch = mkdtempSync(join(tmpdir(), "heddle-health-test-"));
afterAll(() => rmSync(scratch, { recursive: true, force: true }));

/** A coordinator that serves, and what it answers to HTTP and to gRPC at. */
async function coordinator(name: string, ...args: readonly string[]) {
  const file = join(scratch, `${name}.json`);
  const server = ["coordinator", "--ephemeral", "--listen", "127.0.0.1:0", "--address-file", file];
  const child = startHeddle([...server, "--http", "0.0.0.0:0", ...args]);
  const ended = outcome(child);
  const { address, http } = await addressFile(file);
  const stop = async (): Promise<void> => {
    child.kill("SIGTERM");
    await ended;
  };
  return { address: String(address), http: String(http), [Symbol.asyncDispose]: stop };
}

test("a server that lives and is ready says so over HTTP, by an option or the environment, and over gRPC; one that is gone does not", async () => {
  const gone = { address: "", http: "" };
  {
    await using server = await coordinator("plain");
    Object.assign(gone, server);
    const { address, http } = server;
    expect(await heddle(["health", "--http", http])).toEqual({ code: 0, stdout: "ok\n", stderr: "" });
    expect(await heddle(["health", "--ready"], { HEDDLE_HTTP: http })).toMatchObject({ code: 0, stdout: "ok\n" });
    expect(await heddle(["health", "--address", address], { HEDDLE_HTTP: "127.0.0.1:1" })).toMatchObject({
      code: 0,
      stdout: "serving\n",
    });
  }
  const url = `http://${gone.http.replace("0.0.0.0", "127.0.0.1")}/healthz`;
  expect(await heddle(["health", "--http", gone.http])).toEqual({
    code: 5,
    stdout: "",
    stderr: `heddle: nobody answers at ${url}\n`,
  });
  expect(await heddle(["health"], { HEDDLE_ADDRESS: gone.address })).toMatchObject({ code: 5, stdout: "" });
});

test("a server that speaks TLS is asked with a certificate of any role, its own included", async () => {
  const certs = join(scratch, "certs");
  expect(await heddle(["certs", "init", "--dir", certs])).toMatchObject({ code: 0 });
  await using server = await coordinator("tls", "--tls-dir", join(certs, "coordinator"));
  for (const role of ["coordinator", "client"])
    expect(await heddle(["health"], { HEDDLE_ADDRESS: server.address, HEDDLE_TLS_DIR: join(certs, role) })).toEqual({
      code: 0,
      stdout: "serving\n",
      stderr: "",
    });
});

test("an agent that has no coordinator lives, and is not ready, in words", async () => {
  const nobody = createServer().listen(0, "127.0.0.1");
  await once(nobody, "listening");
  const { port } = nobody.address() as { readonly port: number };
  await nobody[Symbol.asyncDispose]();
  const file = join(scratch, "http");
  const http = `127.0.0.1:${port}`; // free a moment ago: an agent writes its address file when it is let in
  const child = startHeddle(["agent", "--coordinator", "127.0.0.1:1", "--http", http, "--address-file", file]);
  const ended = outcome(child);
  while ((await heddle(["health", "--http", http])).code !== 0) expect(child.exitCode).toBeNull();
  expect(await heddle(["health", "--http", http, "--ready"])).toEqual({
    code: 1,
    stdout: "",
    stderr: expect.stringMatching(/^heddle: http:\/\/127\.0\.0\.1:\d+\/readyz: \w.+\n$/),
  });
  child.kill("SIGTERM");
  await ended;
});

test("a server that says nothing is given up", async () => {
  await using silent = createServer((socket) => socket.on("error", () => undefined).resume()).listen(0, "127.0.0.1"); // reads, or it would not see them leave
  await once(silent, "listening");
  const { port } = silent.address() as { readonly port: number };
  expect(await heddle(["health", "--http", `127.0.0.1:${port}`, "--timeout-ms", "100"])).toMatchObject({ code: 124 });
  expect(await heddle(["health", "--timeout-ms", "soon"])).toMatchObject({ code: 2 });
});

test("whether a server is ready is not asked without its HTTP address", async () => {
  expect(await heddle(["health", "--ready"])).toMatchObject({
    code: 2,
    stderr: "heddle: --ready is asked over HTTP: say where, with --http or HEDDLE_HTTP\n",
  });
});

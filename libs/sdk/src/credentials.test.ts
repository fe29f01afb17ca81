import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { HeddleError, InvalidArgumentError } from "@heddle/kernel";
import { MemoryNetwork, unaryRoute } from "@heddle/port-rpc";
import { manualEnvironment } from "@heddle/port-rpc/testing";
import { adminGetStatus, GetStatusResponse } from "@heddle/wire";
import { beforeEach, describe, expect, onTestFinished, test, vi } from "vitest";
import { connect, sharedFabric } from "./connect.ts";
import { credentialsOf } from "./credentials.ts";
import { lazyClient } from "./lazy-grpc.ts";
import { Pool } from "./pool.ts";
import { checkConnect } from "./remote.ts";

const files = { caFile: "/a/ca.crt", certFile: "/a/tls.crt", keyFile: "/a/tls.key" };
const secret = "s".repeat(43);
const variables = ["HEDDLE_TLS_DIR", "HEDDLE_CA_FILE", "HEDDLE_CERT_FILE", "HEDDLE_KEY_FILE", "HEDDLE_TOKEN"];

function given(environment: Readonly<Record<string, string>>): void {
  for (const [name, value] of Object.entries(environment)) vi.stubEnv(name, value);
}

beforeEach(() => {
  for (const name of variables) vi.stubEnv(name, undefined);
  onTestFinished(() => void vi.unstubAllEnvs());
});

describe("what a program shows to servers", () => {
  test("is the files or the token that it was given, whatever the environment says", () => {
    given({ HEDDLE_TLS_DIR: "/other", HEDDLE_TOKEN: "other", HEDDLE_CA_FILE: "one of three" });
    expect(credentialsOf({ tls: files })).toEqual({ tls: files });
    expect(credentialsOf({ token: secret })).toEqual({ token: secret });
  });

  test("is else the files of HEDDLE_TLS_DIR, or the three that have variables of their own, and with neither HEDDLE_TOKEN", () => {
    expect(credentialsOf({})).toEqual({});
    given({ HEDDLE_TOKEN: secret, HEDDLE_TLS_DIR: "" });
    expect(credentialsOf({})).toEqual({ token: secret });
    given({ HEDDLE_TLS_DIR: "/a/" });
    expect(credentialsOf({})).toEqual({ tls: { ...files, namedBy: "HEDDLE_TLS_DIR" } });
    given({ HEDDLE_TLS_DIR: "", HEDDLE_CA_FILE: "/1", HEDDLE_CERT_FILE: "/2", HEDDLE_KEY_FILE: "/3" });
    expect(credentialsOf({})).toEqual({
      tls: {
        ...{ caFile: "/1", certFile: "/2", keyFile: "/3" },
        namedBy: "HEDDLE_CA_FILE, HEDDLE_CERT_FILE, HEDDLE_KEY_FILE",
      },
    });
  });

  test("is files by whole paths: a program may go elsewhere, and they are read again", () => {
    given({ HEDDLE_TLS_DIR: "mine" });
    const inMine = {
      caFile: resolve("mine/ca.crt"),
      certFile: resolve("mine/tls.crt"),
      keyFile: resolve("mine/tls.key"),
      namedBy: "HEDDLE_TLS_DIR",
    };
    expect(credentialsOf({})).toEqual({ tls: inMine });
    expect(credentialsOf({ tls: { ...files, caFile: "ca" } })).toEqual({ tls: { ...files, caFile: resolve("ca") } });
  });

  test.each([
    [{ HEDDLE_CA_FILE: "a" }, /^HEDDLE_CERT_FILE and HEDDLE_KEY_FILE must be set, too: /],
    [{ HEDDLE_CA_FILE: "a", HEDDLE_CERT_FILE: "b" }, /^HEDDLE_KEY_FILE must be set, too: /],
    [{ HEDDLE_TLS_DIR: "d", HEDDLE_KEY_FILE: "c" }, /^HEDDLE_TLS_DIR and HEDDLE_KEY_FILE are both set: /],
    [{ HEDDLE_TOKEN: "two words" }, /^HEDDLE_TOKEN has blanks/],
    [{ HEDDLE_TOKEN: "short" }, /^HEDDLE_TOKEN is no token: it is the 43 characters/],
  ])("is refused, by the variable's name, when the environment says %o", async (environment, message) => {
    given(environment);
    expect(() => credentialsOf({})).toThrow(InvalidArgumentError);
    expect(() => new Pool({ address: "127.0.0.1:1" })).toThrow(message);
    expect(() => sharedFabric("127.0.0.1:1")).toThrow(message);
    await expect(connect("127.0.0.1:1")).rejects.toThrow(message);
  });

  test("is nobody's business in the fabric embedded in a program, which needs none", async () => {
    given({ HEDDLE_CA_FILE: "one of three", HEDDLE_TOKEN: "two words" });
    await using fabric = await connect();
    expect(fabric.address).toBe("embedded");
    await expect(connect(undefined, { tls: files })).rejects.toThrow(InvalidArgumentError);
    await expect(connect(undefined, { tls: files })).rejects.toThrow(/^tls was given without the address of a coord/);
    await expect(connect(undefined, { token: secret })).rejects.toThrow(/^a token was given without the address/);
  });

  test("goes to the address in HEDDLE_ADDRESS where none is given", async () => {
    given({ HEDDLE_ADDRESS: "127.0.0.1:1" });
    const refused = await connect(undefined, { token: secret, timeoutMs: 100 }).catch((error: unknown) => error);
    expect(refused).not.toBeInstanceOf(InvalidArgumentError);
    expect(String(refused)).toContain("127.0.0.1:1");
  });

  test.each([
    [{ tls: "/a" }, TypeError, /options of tls must be an object.*got/],
    [{ tls: { caFile: "a", certFile: "b" } }, TypeError, "tls.keyFile must be the path of a PEM file, got undefined"],
    [{ tls: { ...files, caFile: 7 } }, TypeError, "tls.caFile must be the path of a PEM file, got a number"],
    [{ tls: { ...files, passphrase: "x" } }, TypeError, /^tls has no option passphrase/],
    [{ tls: { ...files, keyFile: "" } }, InvalidArgumentError, /^tls.keyFile is empty/],
    [{ token: 7 }, TypeError, "token must be a string, got a number"],
    [{ token: "" }, InvalidArgumentError, /^token is empty/],
    [{ token: "s3cret\n" }, InvalidArgumentError, /^token has blanks, line breaks/],
    [{ token: `${secret}s3cret` }, InvalidArgumentError, /^token is no token/],
    [{ tls: files, token: secret }, TypeError, /^give tls or a token, not both/],
    [{ cert: "x" }, TypeError, /^connect has no option cert/],
  ])("cannot be %o", (options, errorClass, message) => {
    const check = (): void => checkConnect("127.0.0.1:1", options as never);
    expect(check).toThrow(errorClass);
    expect(check).toThrow(message);
    expect(check).not.toThrow("s3cret"); // a token that is nearly right is a secret all the same
  });
});

describe("files that are not good", () => {
  test("are told of at once, by their name, and nothing is dialled", async () => {
    const connections: unknown[] = [];
    const server = createServer((socket) => void connections.push(socket.destroy()));
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    const directory = mkdtempSync(join(tmpdir(), "credentials-test-"));
    onTestFinished(() => {
      server.close();
      rmSync(directory, { recursive: true });
    });
    const at = server.address();
    const address = typeof at === "object" && at !== null ? `127.0.0.1:${at.port}` : "";
    const tls = { caFile: join(directory, "ca"), certFile: join(directory, "cert"), keyFile: join(directory, "key") };
    const refused: unknown = await connect(address, { tls }).catch((error: unknown) => error);
    expect(refused).toBeInstanceOf(InvalidArgumentError);
    expect(String(refused)).toContain(tls.caFile);
    for (const file of Object.values(tls)) writeFileSync(file, "no certificate");
    const unread: unknown = await connect(address, { tls }).catch((error: unknown) => error);
    expect(unread).toBeInstanceOf(HeddleError);
    expect(String(unread)).toContain(directory);
    expect(connections).toEqual([]);
    given({ HEDDLE_CA_FILE: tls.caFile, HEDDLE_CERT_FILE: tls.certFile, HEDDLE_KEY_FILE: tls.keyFile });
    await using pool = new Pool({ address });
    const failed: unknown = await pool.apply(() => 1).catch((error: unknown) => error);
    expect(failed).toBeInstanceOf((unread as Error).constructor);
    expect(String(failed)).toContain(directory);
  });

  test("are tried again by whoever dials next", async () => {
    const env = manualEnvironment();
    const network = new MemoryNetwork(env);
    await network.listen("there", [
      unaryRoute(adminGetStatus, async () => GetStatusResponse.fromPartial({ build: "b" })),
    ]);
    const outcomes = [() => Promise.reject(new InvalidArgumentError("no such file")), async () => network];
    let made = 0;
    const client = lazyClient(() => outcomes[made++]?.() ?? Promise.reject(new Error("made once too often")));
    const ask = () => client.call(adminGetStatus, "there", {}, { timeoutMs: 1_000 });
    const failures = await Promise.allSettled([ask(), ask()]);
    expect(failures).toMatchObject([{ status: "rejected" }, { status: "rejected" }]);
    expect([made, (await ask()).build, (await ask()).build, made]).toEqual([1, "b", "b", 2]);
    await client[Symbol.asyncDispose]();
    await lazyClient(() => Promise.reject(new Error("never needed")))[Symbol.asyncDispose]();
  });
});

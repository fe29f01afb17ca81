import { appendFileSync, chmodSync, copyFileSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { InvalidArgumentError } from "@heddle/kernel";
import type { TlsFiles } from "@heddle/port-rpc";
import { afterAll, afterEach, describe, expect, test, vi } from "vitest";
import { linkedSecret, openAuthority } from "./test-certificates.ts";
import { closeKept, keep } from "./test-kit.ts";
import { type KeptLog, keptLog } from "./test-log.ts";
import { type TlsMaterial, watchTls } from "./tls-material.ts";

const authority = openAuthority();
const stranger = openAuthority("another authority");
afterAll(() => {
  authority[Symbol.dispose]();
  stranger[Symbol.dispose]();
});
afterEach(closeKept);
afterEach(() => vi.useRealTimers());

const pollMs = 10;

function watched(files: TlsFiles, isServer = false): { material: TlsMaterial; log: KeptLog } {
  const log = keptLog();
  const material = watchTls(files, { log: log.logger, pollMs, isServer });
  keep({ [Symbol.asyncDispose]: async () => material[Symbol.dispose]() });
  return { material, log };
}

/** Another watch of the same rhythm has seen a change again and again. */
async function severalLooks(): Promise<void> {
  const files = authority.issue("client", "0");
  const { log } = watched(files);
  for (let looks = 1; looks <= 4; looks++) {
    authority.replace(files, authority.issue("client", `${looks}`));
    await log.until("tls files reloaded", looks);
  }
}

function directory(): string {
  const path = mkdtempSync(join(tmpdir(), "heddle-material-"));
  keep({ [Symbol.asyncDispose]: async () => rmSync(path, { recursive: true }) });
  return path;
}

test("good files are an identity: their bytes, the role, the name and the end", () => {
  const files = authority.issue("agent", "a1", { toHours: 2 });
  const { current } = watched(files).material;
  expect(current).toMatchObject({ role: "agent", name: "a1" });
  expect(Math.abs(current.notAfterMs - Date.now() - 2 * 3_600_000)).toBeLessThan(10_000);
  expect(current.cert).toEqual(readFileSync(files.certFile));
  expect(current.key).toEqual(readFileSync(files.keyFile));
  expect(current.ca).toEqual(readFileSync(files.caFile));
});

describe("files are refused at the start, by name, when", () => {
  const good = authority.issue("client", "alice");
  const other = authority.issue("client", "bob");
  test.each<[string, TlsFiles, string, string]>([
    ["one is not there", { ...good, certFile: "/nowhere/tls.crt" }, "invalid-argument", "/nowhere/tls.crt"],
    ["the authority's is no certificate", { ...good, caFile: good.keyFile }, "invalid-argument", good.keyFile],
    ["the key is none", { ...good, keyFile: good.certFile }, "invalid-argument", good.certFile],
    ["the key is another's", { ...good, keyFile: other.keyFile }, "authentication", other.keyFile],
    ...[
      ["it has expired", { fromHours: -3, toHours: -1 }, "has expired on"],
      ["it is not valid yet", { fromHours: 1 }, "is the clock right?"],
      ["it has no role", { uris: [] }, "it has no URI"],
      ["it has two roles", { uris: ["spiffe://heddle/client/a", "spiffe://heddle/admin/a"] }, "exactly one URI"],
      ["it comes from elsewhere", { believes: stranger }, "does not come from an authority in"],
    ].map(([what, certificate, words]): [string, TlsFiles, string, string] => [
      String(what),
      authority.issue("client", "alice", certificate as object),
      "authentication",
      String(words),
    ]),
  ])("%s", (_what, files, code, words) => {
    expect(() => watched(files)).toThrow(expect.objectContaining({ code, message: expect.stringContaining(words) }));
  });

  test("one is not there that a variable names, which is named, too", () => {
    const files = { ...good, certFile: "/nowhere/tls.crt", namedBy: "HEDDLE_TLS_DIR" };
    expect(() => watched(files)).toThrow(InvalidArgumentError);
    expect(() => watched(files)).toThrow(/\/nowhere\/tls\.crt: .*the environment names this file by HEDDLE_TLS_DIR/);
  });

  test("one is larger than any such file", () => {
    const at = directory();
    writeFileSync(join(at, "ca.crt"), Buffer.alloc(1024 * 1024 + 1));
    expect(() => watched({ ...good, caFile: join(at, "ca.crt") })).toThrow("1048577 bytes");
  });

  test("no error shows a key", () => {
    const at = directory();
    const key = readFileSync(good.keyFile, "utf8");
    writeFileSync(join(at, "tls.key"), key.replace("MIG", "!!!"));
    try {
      watched({ ...good, keyFile: join(at, "tls.key") });
      expect.unreachable();
    } catch (error) {
      expect(`${error} ${(error as Error).stack} ${(error as Error).cause}`).not.toContain(key.slice(60, 100));
    }
  });
});

test("new files are taken up, and told of when they are", async () => {
  const files = authority.issue("client", "alice");
  const { material, log } = watched(files);
  const told = Promise.withResolvers<string>();
  material.onChange(() => told.resolve(material.current.name));
  authority.replace(files, authority.issue("client", "bob"));
  expect(await told.promise).toBe("bob");
  expect(material.current.name).toBe("bob");
  expect(log.of("tls files reloaded")).toEqual([expect.objectContaining({ role: "client", name: "bob" })]);
});

test("files that do not fit together are refused once, the last good ones stay, and are taken up once they fit", async () => {
  const files = authority.issue("client", "alice");
  const { material, log } = watched(files);
  const next = authority.issue("client", "bob");
  copyFileSync(next.certFile, files.certFile);
  const [refused] = await log.until("tls files refused");
  expect(refused?.why).toContain(files.keyFile);
  await severalLooks();
  expect(material.current.name).toBe("alice");
  copyFileSync(next.keyFile, files.keyFile);
  await log.until("tls files reloaded");
  expect(material.current.name).toBe("bob");
  expect(log.of("tls files refused").length).toBe(1);
});

test("a secret that Kubernetes swaps as a whole is taken up", async () => {
  const at = directory();
  const { files, swap } = linkedSecret(at, authority.issue("agent", "old").directory);
  const { material, log } = watched(files);
  swap(authority.issue("agent", "new").directory);
  await log.until("tls files reloaded");
  expect(material.current.name).toBe("new");
  expect(log.of("tls files refused")).toEqual([]);
});

test("a file that cannot be read for a while is refused meanwhile", async () => {
  const files = authority.issue("client", "alice");
  const { material, log } = watched(files);
  rmSync(files.keyFile);
  const [refused] = await log.until("tls files refused");
  expect(refused?.why).toContain(files.keyFile);
  authority.replace(files, authority.issue("client", "bob"));
  await log.until("tls files reloaded");
  expect(material.current.name).toBe("bob");
});

test("a certificate that runs out with nothing in its place is told of, once", async () => {
  const { material, log } = watched(authority.issue("client", "alice", { toHours: 1 }));
  vi.useFakeTimers({ toFake: ["Date"], now: Date.now() + 61 * 60_000 });
  const [refused] = await log.until("tls files refused");
  expect(refused?.why).toContain("has expired on");
  await severalLooks();
  expect([material.current.name, log.of("tls files refused").length]).toEqual(["alice", 1]);
});

test("files that are as they were, after others were refused, are told to be good again, once", async () => {
  const files = authority.issue("client", "alice");
  const { log } = watched(files);
  const good = readFileSync(files.keyFile);
  writeFileSync(files.keyFile, "nothing");
  await log.until("tls files refused");
  writeFileSync(files.keyFile, good);
  await log.until("tls files are good again");
  await severalLooks();
  expect([log.of("tls files are good again").length, log.of("tls files reloaded")]).toEqual([1, []]);
});

describe("of a certificate that runs out a server or agent is told", () => {
  const RUNS_OUT = "the certificate runs out soon: renew it";
  const day = 24;

  test.each([
    ["a tenth of its life before", { fromHours: -90, toHours: 9.9 }, { fromHours: -90, toHours: 10.1 }],
    ["an hour before where that is less", { fromHours: -1, toHours: 0.99 }, { fromHours: -1, toHours: 1.01 }],
    [
      "7 days before where that is more",
      { fromHours: -300 * day, toHours: 6.9 * day },
      { fromHours: -300 * day, toHours: 7.1 * day },
    ],
  ])("%s, and not sooner", (_when, late, early) => {
    expect(watched(authority.issue("agent", "a", late)).log.of(RUNS_OUT)).toHaveLength(1);
    expect(watched(authority.issue("agent", "a", early)).log.of(RUNS_OUT)).toEqual([]);
  });

  test("at the start, and once a day, until there is another", async () => {
    const files = authority.issue("agent", "a", { fromHours: -60 * day, toHours: 5 * day });
    const { material, log } = watched(files);
    const on = new Date(material.current.notAfterMs).toISOString();
    await severalLooks();
    expect(log.of(RUNS_OUT)).toEqual([{ file: files.certFile, on }]);
    vi.useFakeTimers({ toFake: ["Date"], now: Date.now() + 25 * 3_600_000 });
    await log.until(RUNS_OUT, 2);
    vi.useRealTimers();
    authority.replace(files, authority.issue("agent", "a", { toHours: 90 * day }));
    await log.until("tls files reloaded");
    expect(log.of(RUNS_OUT)).toHaveLength(2);
  });

  test("and nobody else: of its own files a server tells once", () => {
    const files = authority.issue("coordinator", "c", { toHours: 0.5 });
    expect(watched(files).log.of(RUNS_OUT)).toEqual([]);
    expect(watched(files, true).log.of(RUNS_OUT)).toHaveLength(1);
    expect(watched(authority.issue("client", "alice", { toHours: 0.5 })).log.of(RUNS_OUT)).toEqual([]);
  });
});

test.each([
  [0o600, []],
  [0o400, []],
  [0o640, ["0640"]],
  [0o644, ["0644"]],
])("a key of mode %o is used, and told of if others can read it", (mode, told) => {
  const files = authority.issue("agent", "a");
  chmodSync(files.keyFile, mode);
  const { log } = watched(files);
  const lines = log.of("others can read the TLS key: let its owner alone");
  expect(lines).toEqual(told.map((text) => ({ file: files.keyFile, mode: text })));
});

test("what was disposed looks no more and tells nobody", async () => {
  const files = authority.issue("client", "alice");
  const { material } = watched(files);
  let heard = 0;
  material.onChange(() => heard++);
  material[Symbol.dispose]();
  authority.replace(files, authority.issue("client", "bob"));
  await severalLooks();
  expect([material.current.name, heard]).toEqual(["alice", 0]);
});

test("a certificate of an authority between is believed with that authority's own beside it, and not without", () => {
  using between = authority.issueAuthority("between");
  const files = between.issue("client", "alice", { believes: authority });
  expect(() => watched(files)).toThrow("CN=test leaf was issued by CN=between");
  appendFileSync(files.certFile, readFileSync(between.caFile));
  expect(watched(files).material.current.name).toBe("alice");
});

test("a leaf that signs another certificate is no authority", () => {
  using pretender = authority.issueAuthority("no authority", { isAuthority: false });
  const files = pretender.issue("client", "eve", { believes: authority });
  appendFileSync(files.certFile, readFileSync(pretender.caFile));
  expect(() => watched(files)).toThrow("does not come from an authority");
});

import { once } from "node:events";
import { readFileSync, writeFileSync } from "node:fs";
import { type AddressInfo, createServer, type Socket } from "node:net";
import { createServer as createTlsServer, type TLSSocket } from "node:tls";
import { inspect } from "node:util";
import { Server, ServerCredentials } from "@grpc/grpc-js";
import { AuthenticationError, type Logger, PermissionError, silentLogger, UnavailableError } from "@heddle/kernel";
import { type Link, streamRoute, type TlsFiles, unaryRoute } from "@heddle/port-rpc";
import { afterAll, afterEach, expect, test, vi } from "vitest";
import { createGrpcClient } from "./index.ts";
import { openAuthority, type TestCertificate } from "./test-certificates.ts";
import { askMethod, closeKept, keep, portOf, serve, streamMethod } from "./test-kit.ts";

const ours = openAuthority("our authority");
const theirs = openAuthority("their authority");
const alice = ours.issue("client", "alice");
afterEach(closeKept);
afterAll(() => {
  ours[Symbol.dispose]();
  theirs[Symbol.dispose]();
});

const signal = new AbortController().signal;

/** A server of ours over TLS. */
async function target(tls: TlsFiles, options: Parameters<typeof serve>[2] = {}) {
  const links: Link<Uint8Array, Uint8Array>[] = [];
  const routes = [
    streamRoute(streamMethod, (link) => links.push(link)),
    unaryRoute(askMethod, async (request) => request),
  ];
  const listening = await serve("127.0.0.1:0", routes, { tls, ...options });
  return { port: portOf(listening.address), links };
}

/** A server that takes any files, which ours would not. Nothing gets as far as an answer. */
async function foreignServer({ caFile, certFile, keyFile }: TlsFiles): Promise<number> {
  const server = new Server();
  const pair = { cert_chain: readFileSync(certFile), private_key: readFileSync(keyFile) };
  const secure = ServerCredentials.createSsl(readFileSync(caFile), [pair], true);
  const port = await new Promise<number>((resolve, reject) => {
    server.bindAsync("127.0.0.1:0", secure, (error, bound) => (error === null ? resolve(bound) : reject(error)));
  });
  keep({ [Symbol.asyncDispose]: async () => server.forceShutdown() });
  return port;
}

/** Takes connections at loopback and does `answer` to each. */
async function listener(answer: (socket: Socket) => void): Promise<number> {
  const server = createServer((socket) => {
    socket.on("error", () => undefined);
    answer(socket);
  }).listen(0, "127.0.0.1");
  await once(server, "listening");
  keep({ [Symbol.asyncDispose]: async () => void server.close() });
  return (server.address() as AddressInfo).port;
}

function clientOf(tls: TlsFiles | undefined, log: Logger = silentLogger, tlsPollMs = 5_000) {
  const client = keep(createGrpcClient({ ...(tls === undefined ? {} : { tls }), log, tlsPollMs }));
  return {
    dial: (address: string) => client.dial(streamMethod, address, signal),
    ask: (address: string) => client.call(askMethod, address, Uint8Array.of(1), { timeoutMs: 5_000 }),
  };
}

/** The error of a dial, which that of a question equals but for the method. */
async function failure(tls: TlsFiles | undefined, address: string): Promise<Error> {
  const { dial, ask } = clientOf(tls);
  const [dialled, asked] = await Promise.allSettled([dial(address), ask(address)]);
  if (dialled.status !== "rejected" || asked.status !== "rejected") return expect.fail("it was not refused");
  expect(asked.reason.name).toBe(dialled.reason.name);
  return dialled.reason;
}

test.each(["127.0.0.1", "localhost"])(
  "a server whose certificate is for %s is reached there, without a warning",
  async (host) => {
    const warnings: Error[] = [];
    const warn = (warning: Error) => warnings.push(warning);
    process.on("warning", warn);
    const only = host === "localhost" ? { hosts: [host], ips: [] } : { hosts: [], ips: [host] };
    const { port, links } = await target(ours.issue("coordinator", "one", only));
    const { dial, ask } = clientOf(alice);
    await dial(`${host}:${port}`);
    expect(await ask(`${host}:${port}`)).toEqual(Uint8Array.of(1));
    expect(links[0]?.caller).toMatchObject({ role: "client", name: "alice" });
    await new Promise(setImmediate); // warnings are told later
    process.off("warning", warn);
    expect(warnings).toEqual([]);
  },
);

test.each<[string, TestCertificate, string, RegExp]>([
  ["for another host", { hosts: ["b.example"], ips: [] }, "localhost", /is not for localhost: .*b\.example/],
  [
    "for another address",
    { hosts: ["localhost"], ips: ["127.0.0.2"] },
    "127.0.0.1",
    /is not for 127\.0\.0\.1: .*127\.0\.0\.2/,
  ],
  [
    "for a host alone that looks like the address",
    { hosts: ["127.0.0.1"], ips: [] },
    "127.0.0.1",
    /is not for 127\.0\.0\.1/,
  ],
  ["expired", { fromHours: -3, toHours: -1 }, "localhost", /has expired: the server needs a new one/],
  ["not yet valid", { fromHours: 3 }, "localhost", /is not yet valid: is the clock right/],
  ["for clients alone", { uses: ["clientAuth"] }, "localhost", /is for clients alone/],
])(
  "a server's certificate that is %s is not believed, and the error says so",
  async (_what, certificate, host, words) => {
    const port = await foreignServer(ours.issue("coordinator", "one", certificate));
    const error = await failure(alice, `${host}:${port}`);
    expect(error).toBeInstanceOf(AuthenticationError);
    expect(error.message).toMatch(words);
    expect(error.message).toContain(`\`heddle certs show ${alice.directory}\` tells role, name, hosts and dates`);
  },
);

test("a server's certificate of another authority is not believed", async () => {
  const port = await foreignServer(theirs.issue("coordinator", "one", { believes: ours }));
  const error = await failure(alice, `localhost:${port}`);
  expect(error).toBeInstanceOf(AuthenticationError);
  expect(error.message).toContain(
    `does not come from an authority in ${alice.caFile} (unable to verify the first certificate)`,
  );
});

test("no variable of the environment makes a client believe a server", async () => {
  vi.stubEnv("NODE_TLS_REJECT_UNAUTHORIZED", "0");
  const warning = vi.spyOn(process, "emitWarning").mockReturnValue(); // Node's own, of what we override
  try {
    const port = await foreignServer(theirs.issue("coordinator", "one", { believes: ours }));
    expect(await failure(alice, `localhost:${port}`)).toBeInstanceOf(AuthenticationError);
  } finally {
    vi.unstubAllEnvs();
    warning.mockRestore();
  }
});

test("a server that speaks TLS 1.2 at most is not spoken to", async () => {
  const { caFile, certFile, keyFile } = ours.issue("coordinator", "one");
  const [ca, cert, key] = [readFileSync(caFile), readFileSync(certFile), readFileSync(keyFile)];
  const server = createTlsServer({ ca, cert, key, maxVersion: "TLSv1.2", ALPNProtocols: ["h2"] }).listen(
    0,
    "127.0.0.1",
  );
  await once(server, "listening");
  keep({ [Symbol.asyncDispose]: async () => void server.close() });
  const error = await failure(alice, `127.0.0.1:${(server.address() as AddressInfo).port}`);
  expect(error).toBeInstanceOf(AuthenticationError);
  expect(error.message).toContain("does not speak TLS 1.3");
});

/** Files of a client that believes both authorities and comes from theirs. */
function bothBelieving(): TlsFiles {
  const files = theirs.issue("client", "mallory");
  writeFileSync(files.caFile, Buffer.concat([readFileSync(ours.caFile), readFileSync(theirs.caFile)]));
  return files;
}

test("a certificate that the server does not believe gets nobody in; as the server only hangs up, a second connection finds out", async () => {
  const { port, links } = await target(ours.issue("coordinator", "one"));
  const mallory = bothBelieving();
  const error = await failure(mallory, `127.0.0.1:${port}`);
  expect(error).toBeInstanceOf(AuthenticationError);
  expect(error.message).toContain(`does not accept the certificate in ${mallory.certFile}`);
  expect(links.length).toBe(0);
});

test.each<[string, (socket: TLSSocket) => void]>([
  ["and takes the next one", (socket) => void socket.write(Buffer.from("000000040000000000", "hex"))], // SETTINGS
  ["and is gone", () => expect.fail("it is gone")],
  ["and says nothing on the next one", () => undefined],
])("a server that hangs up after the handshake once %s may be stopping", async (what, next) => {
  const { caFile, certFile, keyFile } = ours.issue("coordinator", "one");
  const [ca, cert, key] = [caFile, certFile, keyFile].map((file) => readFileSync(file));
  let connections = 0;
  const server = createTlsServer({ ca, cert, key, requestCert: true, ALPNProtocols: ["h2"] }, (socket) => {
    socket.on("error", () => undefined);
    if (++connections > 1) return next(socket);
    if (what === "and is gone") server.close();
    socket.destroy();
  }).listen(0, "127.0.0.1");
  await once(server, "listening");
  keep({ [Symbol.asyncDispose]: async () => void server.close() });
  const error = await failure(alice, `127.0.0.1:${(server.address() as AddressInfo).port}`);
  expect(error).toBeInstanceOf(UnavailableError);
  expect(error.message).toContain("right after the TLS handshake: it is stopping");
});

test("a client that another authority's server would believe gives up at once where its own files do not fit", () => {
  const open = (files: TlsFiles) => () => createGrpcClient({ tls: files });
  expect(open(theirs.issue("client", "x", { believes: ours }))).toThrow(AuthenticationError);
  expect(open(ours.issue("client", "x", { fromHours: -3, toHours: -1 }))).toThrow(/has expired/);
  expect(open(ours.issue("client", "x", { fromHours: 3 }))).toThrow(/is valid from/);
  expect(open({ ...alice, keyFile: ours.issue("client", "x").keyFile })).toThrow(/is not that of the certificate/);
});

test("a client whose role may not call a method is refused before its handler", async () => {
  const access = new Map([
    [askMethod.path, ["client"] as const],
    [streamMethod.path, ["agent"] as const],
  ]);
  const { port, links } = await target(ours.issue("coordinator", "one"), { access });
  const { dial, ask } = clientOf(alice);
  await expect(dial(`127.0.0.1:${port}`)).rejects.toThrow(PermissionError);
  expect(await ask(`127.0.0.1:${port}`)).toEqual(Uint8Array.of(1));
  expect(links.length).toBe(0);
  await clientOf(ours.issue("agent", "n1")).dial(`127.0.0.1:${port}`);
  expect(links.length).toBe(1);
});

test("a client with TLS files at a server in clear is told so, and sends it nothing that it could use", async () => {
  const listening = await serve("127.0.0.1:0", [streamRoute(streamMethod, () => expect.fail("a stream came"))]);
  const error = await failure(alice, listening.address);
  expect(error).toBeInstanceOf(AuthenticationError);
  expect(error.message).toContain("the server does not speak TLS: start it with --tls-dir");
});

test("a client without TLS files at a server that wants them is told so", async () => {
  const { port, links } = await target(ours.issue("coordinator", "one"));
  for (const host of ["127.0.0.1", "localhost"]) {
    const error = await failure(undefined, `${host}:${port}`);
    expect(error).toBeInstanceOf(AuthenticationError);
    expect(error.message).toContain("the server speaks TLS, and no TLS files are given");
  }
  expect(links.length).toBe(0);
});

test.each<[string, (socket: Socket) => void]>([
  ["is reset as it begins", (socket) => socket.resetAndDestroy()],
  ["ends as it begins", (socket) => socket.end()],
  ["is reset once the client has spoken", (socket) => socket.once("data", () => socket.resetAndDestroy())],
  ["ends once the client has spoken", (socket) => socket.once("data", () => socket.end())],
])("a connection that %s may be a passing fault, over TLS and in clear", async (_what, answer) => {
  const port = await listener(answer);
  for (const tls of [alice, undefined]) {
    expect(await failure(tls, `127.0.0.1:${port}`)).toBeInstanceOf(UnavailableError);
  }
});

test("where nobody listens is unavailable, whatever came of the connection before", async () => {
  const tls = ours.issue("coordinator", "one");
  const listening = await serve("127.0.0.1:0", [unaryRoute(askMethod, async (request) => request)], { tls });
  const { ask } = clientOf(alice);
  await ask(listening.address);
  await listening[Symbol.asyncDispose]();
  await expect(ask(listening.address)).rejects.toMatchObject({
    name: "UnavailableError",
    message: expect.stringContaining("ECONNREFUSED"),
  });
});

test("TLS files that change are used from the next dial on, and streams that are open go on", async () => {
  const { port, links } = await target(ours.issue("coordinator", "one"));
  const files = ours.issue("client", "before");
  const reloaded = Promise.withResolvers<void>();
  const log: Logger = {
    ...silentLogger,
    info: (message) => message === "tls files reloaded" && reloaded.resolve(),
  };
  const { dial } = clientOf(files, log, 10);
  const old = await dial(`127.0.0.1:${port}`);
  ours.replace(files, ours.issue("client", "after"));
  await reloaded.promise;
  await dial(`127.0.0.1:${port}`);
  expect(links.map(({ caller }) => caller?.name)).toEqual(["before", "after"]);
  old.send(Uint8Array.of(9));
  for await (const message of links[0]?.incoming ?? []) {
    expect(message).toEqual(Uint8Array.of(9));
    break;
  }
});

test("a client whose certificate has run out meanwhile says so instead of dialling", async () => {
  const { port } = await target(ours.issue("coordinator", "one"));
  const { dial, ask } = clientOf(alice);
  await dial(`127.0.0.1:${port}`);
  const later = Date.now() + 25 * 3_600_000;
  const clock = vi.spyOn(Date, "now").mockReturnValue(later);
  try {
    for (const begin of [dial, ask]) {
      await expect(begin(`127.0.0.1:${port}`)).rejects.toMatchObject({
        name: "AuthenticationError",
        message: expect.stringContaining(`the certificate in ${alice.certFile} has expired on`),
      });
    }
  } finally {
    clock.mockRestore();
  }
});

test("a token is not used over TLS, and no error shows what is in the files", async () => {
  const token = "a-token-that-nobody-asked-for";
  const port = await foreignServer(theirs.issue("coordinator", "one", { believes: ours }));
  const client = keep(createGrpcClient({ tls: alice, token, findToken: () => expect.fail("it was looked up") }));
  const error: unknown = await client.dial(streamMethod, `127.0.0.1:${port}`, signal).catch((cause: unknown) => cause);
  expect(error).toBeInstanceOf(AuthenticationError);
  const shown = inspect(error, { depth: Number.POSITIVE_INFINITY, showHidden: true });
  expect(shown).not.toContain(token);
  expect(shown).not.toMatch(/PRIVATE KEY|BEGIN CERTIFICATE/);
  const lines = readFileSync(alice.keyFile, "utf8")
    .split("\n")
    .filter((line) => line.length > 20);
  for (const line of lines) expect(shown).not.toContain(line);
});

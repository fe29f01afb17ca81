import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { createServer as createHttp2Server } from "node:http2";
import { type AddressInfo, createServer, type Server, type Socket } from "node:net";
import { fileURLToPath } from "node:url";
import { createGrpcServer, type GrpcServerOptions } from "@heddle/adapter-grpc";
import { fixedToken, openAuthority, type TestCertificate } from "@heddle/adapter-grpc/testing";
import { type Role, silentLogger } from "@heddle/kernel";
import { streamRoute, tlsFilesIn, unaryRoute } from "@heddle/port-rpc";
import {
  access,
  adminGetStatus,
  descriptorSetUrl,
  GetStatusResponse,
  jobsRun,
  objectsOperate,
  sessionsKeepAlive,
} from "@heddle/wire";
import { AuthenticationError, type ConnectOptions, connect, Manager, Pool } from "heddle";
import { afterAll, describe, expect, onTestFinished, test, vi } from "vitest";
import { bundleOf } from "../../harness/secure-fabric.ts";
import { failure } from "../../harness/waiting.ts";

const token = randomBytes(32).toString("base64url");
const authority = openAuthority();
const stranger = openAuthority("nobody's authority");
/** Who believes both. */
const both = { ...authority, caFile: bundleOf(authority, stranger) };
afterAll(() => {
  authority[Symbol.dispose]();
  stranger[Symbol.dispose]();
});
const issue = (by: typeof authority, role: Role, more?: TestCertificate) =>
  tlsFilesIn(by.issue(role, `the-${role}`, more).directory);

/** A server of everything that a client asks a coordinator, which counts what it is asked. */
async function counting(options: Pick<GrpcServerOptions, "tls" | "tokens">) {
  const asked: string[] = [];
  const server = createGrpcServer({
    log: silentLogger,
    access,
    descriptorSet: fileURLToPath(descriptorSetUrl),
    ...options,
  });
  const count = ({ path }: { readonly path: string }): void => void asked.push(path);
  const listening = await server.listen("127.0.0.1:0", [
    unaryRoute(adminGetStatus, async () => {
      count(adminGetStatus);
      return GetStatusResponse.fromPartial({});
    }),
    streamRoute(jobsRun, () => count(jobsRun)),
    streamRoute(objectsOperate, () => count(objectsOperate)),
    streamRoute(sessionsKeepAlive, () => count(sessionsKeepAlive)),
  ]);
  onTestFinished(() => listening[Symbol.asyncDispose]());
  return { address: listening.address, asked };
}

/** The address of a server that is no Heddle's. */
async function listens(server: Server | ReturnType<typeof createHttp2Server>): Promise<string> {
  const sockets = new Set<Socket>();
  server.on("connection", (socket: Socket) => void sockets.add(socket.on("error", () => undefined)));
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  onTestFinished(() => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  return `127.0.0.1:${(server.address() as AddressInfo).port}`;
}

/** Whatever way to a fabric is taken: the AuthenticationError that it ends with, without patience. */
async function refusals(address: string, options: ConnectOptions): Promise<void> {
  const begunMs = performance.now();
  const refused = await failure(connect(address, options));
  expect(refused).toBeInstanceOf(AuthenticationError);
  expect(String(refused)).toContain(address);
  const { tls, token: secret } = options;
  const variables = { CA_FILE: tls?.caFile, CERT_FILE: tls?.certFile, KEY_FILE: tls?.keyFile, TOKEN: secret };
  for (const [name, value] of Object.entries(variables)) vi.stubEnv(`HEDDLE_${name}`, value);
  onTestFinished(() => void vi.unstubAllEnvs());
  await using pool = new Pool({ address });
  expect(await failure(pool.apply(() => 1))).toBeInstanceOf(AuthenticationError);
  await using manager = new Manager({ address });
  expect(await failure(manager.connect())).toBeInstanceOf(AuthenticationError);
  expect(performance.now() - begunMs).toBeLessThan(8_000); // ten seconds are what a server that is away gets
}

describe("MGR-08: our side has an AuthenticationError, and no request is served,", () => {
  test("MGR-08: by a server that rejects the proof of our token", async () => {
    const { address, asked } = await counting({ tokens: fixedToken(token) });
    await refusals(address, { token: randomBytes(32).toString("base64url") });
    expect(asked).toEqual([]);
    await using fabric = await connect(address, { token });
    expect([asked, fabric.address]).toEqual([[adminGetStatus.path], address]); // it serves those who know it
  });

  test("MGR-08: by a server that answers our proof with garbage, and which never sees the token", async () => {
    const seen: string[] = [];
    const server = createHttp2Server();
    server.on("stream", (stream, headers) => {
      stream.on("error", () => undefined).on("data", (bytes: Buffer) => void seen.push(bytes.toString("latin1")));
      seen.push(JSON.stringify(headers));
      const answer = { ":status": 200, "content-type": "application/grpc+proto", "heddle-proof": "1.Z2FyYmFnZQ" };
      stream.respond(answer, { waitForTrailers: true });
      stream.on("wantTrailers", () => stream.sendTrailers({ "grpc-status": "0" }));
      stream.end(Buffer.alloc(5)); // an empty message
    });
    const address = await listens(server);
    await refusals(address, { token });
    expect(seen.join()).toContain("heddle-proof");
    expect(seen.join()).not.toContain(token);
  });

  test("MGR-08: by a server that rejects our certificate, though we believe its own", async () => {
    const { address, asked } = await counting({ tls: issue(authority, "coordinator") });
    await refusals(address, { tls: issue(stranger, "client", { believes: both }) });
    expect(asked).toEqual([]);
    await using fabric = await connect(address, { tls: issue(authority, "client") });
    expect([asked, fabric.address]).toEqual([[adminGetStatus.path], address]);
  });

  test("MGR-08: by a server whose certificate we do not believe, though it believes ours", async () => {
    const { address, asked } = await counting({ tls: issue(stranger, "coordinator", { believes: both }) });
    await refusals(address, { tls: issue(authority, "client") });
    expect(asked).toEqual([]);
  });

  test("MGR-08: by a server whose certificate is for another host", async () => {
    const elsewhere = issue(authority, "coordinator", { hosts: ["elsewhere.example"], ips: ["192.0.2.1"] });
    const { address, asked } = await counting({ tls: elsewhere });
    await refusals(address, { tls: issue(authority, "client") });
    expect(asked).toEqual([]);
  });

  test.each<[string, TestCertificate]>([
    ["has expired", { fromHours: -2, toHours: -1 }],
    ["is not valid yet", { fromHours: 1 }],
    ["has no role", { uris: [] }],
    ["comes from another authority than its own file says", { believes: stranger }],
  ])("MGR-08: when our certificate %s, which is not even shown to the server", async (_, more) => {
    const { address, asked } = await counting({ tls: issue(authority, "coordinator") });
    const tls = issue(authority, "client", more);
    const refused = await failure(connect(address, { tls }));
    expect(refused).toBeInstanceOf(AuthenticationError);
    expect(String(refused)).toContain(tls.certFile);
    expect(asked).toEqual([]);
  });

  test("MGR-08: by a server that answers the TLS handshake with garbage", async () => {
    const server = createServer((socket) => void socket.once("data", () => socket.write(randomBytes(2_000))));
    const address = await listens(server);
    await refusals(address, { tls: issue(authority, "client") });
  });

  test("MGR-08: by a server in clear, to which certificates say nothing", async () => {
    const { address, asked } = await counting({ tokens: fixedToken(token) });
    await refusals(address, { tls: issue(authority, "client") });
    expect(asked).toEqual([]);
  });
});

import { expect, test } from "vitest";
import {
  dialSession,
  type Frame,
  MemoryNetwork,
  SessionAcceptor,
  type StreamMethod,
  streamRoute,
  type Version,
} from "./index.ts";
import { manualEnvironment, turn } from "./testing.ts";

const version: Version = { minor: 1, minMinor: 1, encodings: [], nodeMajor: 24, build: "t" };
const unused = {
  encode: () => {
    throw new Error("x");
  },
  decode: () => {
    throw new Error("x");
  },
};
const method: StreamMethod<Frame<string>, Frame<string>> = { path: "/t.T/Run", request: unused, response: unused };
test("smoke", async () => {
  const env = manualEnvironment();
  const net = new MemoryNetwork(env);
  const got: string[] = [];
  const back: string[] = [];
  const ends: unknown[] = [];
  const acceptor = new SessionAcceptor<string, string>({
    env,
    serverId: "s",
    version,
    leaseMs: 15000,
    heartbeatMs: 2000,
    onSession: (session) => ({
      entries: (e) => {
        got.push(...e);
        for (const x of e) session.send(`re ${x}`, 1);
      },
      ended: (end) => ends.push(end),
    }),
  });
  const listening = await net.listen("a:0", [streamRoute(method, acceptor.accept)]);
  const session = dialSession<string, string>({
    env,
    client: net,
    method,
    address: listening.address,
    version,
    handler: { entries: (e) => back.push(...e), ended: (e) => ends.push(e) },
  });
  session.send("1");
  session.send("2", 10);
  await turn();
  expect(back).toEqual(["re 1", "re 2"]);
  net.cut(listening.address);
  session.send("3");
  await env.clock.advance(3000);
  expect(got).toEqual(["1", "2", "3"]);
  expect(back).toEqual(["re 1", "re 2", "re 3"]);
  await session.close();
  await turn();
  expect(ends).toEqual([{ reason: "closed" }, { reason: "goodbye", goodbye: { code: "closed", message: "" } }]);
  // speed
});

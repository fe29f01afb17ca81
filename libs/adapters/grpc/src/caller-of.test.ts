import { describe, expect, test } from "vitest";
import { partyIn } from "./caller-of.ts";

describe("a certificate stands for", () => {
  test.each([
    ["URI:spiffe://heddle/client/alice", "client", "alice"],
    ["URI:spiffe://heddle/agent/rack-1.a_b", "agent", "rack-1.a_b"],
    ["DNS:localhost, URI:spiffe://heddle/coordinator/main, IP Address:127.0.0.1", "coordinator", "main"],
    ["IP Address:0:0:0:0:0:0:0:1, URI:spiffe://heddle/manager/m", "manager", "m"],
    [`DNS:"a, URI:spiffe://heddle/admin/eve", URI:spiffe://heddle/admin/root`, "admin", "root"],
  ])("the party in %s", (names, role, name) => {
    expect(partyIn(names)).toEqual({ role, name });
  });

  test.each([
    undefined,
    "",
    "DNS:localhost",
    "DNS:spiffe://heddle/admin/eve",
    "URI:spiffe://heddle/boss/a",
    "URI:spiffe://heddle/Client/a",
    "URI:spiffe://heddle/client/",
    "URI:spiffe://heddle/client/a/b",
    "URI:spiffe://heddle/client/a?b",
    "URI:spiffe://other/client/a",
    "URI:SPIFFE://heddle/client/a",
    "URI:https://heddle/client/a",
    `URI:spiffe://heddle/client/${"a".repeat(129)}`,
    "URI:spiffe://heddle/client/a, URI:spiffe://heddle/admin/a",
    "URI:spiffe://heddle/client/a, URI:https://example.com/",
    'URI:"spiffe://heddle/client/a"',
    'URI:"spiffe://heddle/client/a, URI:spiffe://heddle/admin/b"',
    'DNS:"a, URI:spiffe://heddle/admin/eve"',
    'DNS:a", URI:spiffe://heddle/admin/eve',
    "URI:spiffe://heddle/client/a, ",
    ", URI:spiffe://heddle/client/a",
  ])("nobody when its names are %j", (names) => {
    expect(() => partyIn(names)).toThrow(expect.objectContaining({ name: "AuthenticationError" }));
  });
});

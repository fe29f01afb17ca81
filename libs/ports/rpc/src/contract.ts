import { describe } from "vitest";
import { dialCases, serverCases, unaryCases } from "./contract/calls.ts";
import { encodingCases } from "./contract/encoding.ts";
import { endCases, orderCases, pressureCases } from "./contract/links.ts";
import type { RpcClient, RpcServer } from "./rpc.ts";

export { memoryFixture } from "./contract/memory-fixture.ts";
export { sessionContract } from "./contract/sessions.ts";

/** A client and a server of one kind, and the power to break what is between them. One for each test. */
export interface RpcFixture extends AsyncDisposable {
  readonly client: RpcClient;
  readonly server: RpcServer;
  /** An address that can be listened at. */
  readonly address: () => string;
  /** The address by which to reach the server at `address` so that `cut` breaks the way. */
  readonly route: (address: string) => Promise<string>;
  /** Breaks every stream that goes through `route`. */
  readonly cut: () => void;
  /** An address where connections are taken and nothing is ever said. */
  readonly hole: () => Promise<string>;
}

/** What differs between kinds on purpose. */
export interface RpcTraits {
  /** Messages become bytes on the way, so that size and content of a message can be wrong. */
  readonly encodes: boolean;
}

/** The suite that every implementation of RpcClient and RpcServer passes. */
export function rpcContract(name: string, fixture: () => Promise<RpcFixture>, traits: RpcTraits): void {
  describe(`${name} as an Rpc`, () => {
    orderCases(fixture);
    pressureCases(fixture);
    endCases(fixture);
    dialCases(fixture);
    unaryCases(fixture);
    serverCases(fixture);
    if (traits.encodes) encodingCases(fixture);
  });
}

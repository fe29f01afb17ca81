export type Ring =
  | "kernel"
  | "values"
  | "core"
  | "ports"
  | "wire"
  | "client"
  | "shells"
  | "adapters"
  | "sdk"
  | "sim"
  | "apps"
  | "tests";

export interface RingRule {
  /** Rings whose packages may be imported. Its own ring is never among them: cores, ports and shells do not know each other. */
  readonly mayImport: readonly Ring[];
  /** May do I/O: import node: modules, import() what a variable names, read the clock and the environment. */
  readonly io: "none" | "node-modules" | "all";
}

/** Who may know whom. The folders below libs/ are these rings; docs say why, tools/rings.ts enforces it. */
export const rings: Readonly<Record<Ring, RingRule>> = {
  kernel: { mayImport: [], io: "none" },
  values: { mayImport: ["kernel"], io: "none" },
  core: { mayImport: ["kernel", "values"], io: "none" },
  ports: { mayImport: ["kernel"], io: "none" },
  wire: { mayImport: ["kernel", "values"], io: "none" },
  client: { mayImport: ["ports", "wire", "values", "kernel"], io: "none" },
  shells: { mayImport: ["core", "client", "ports", "wire", "values", "kernel"], io: "none" },
  adapters: { mayImport: ["ports", "wire", "values", "kernel"], io: "all" },
  sdk: {
    mayImport: ["kernel", "values", "core", "ports", "wire", "client", "shells", "adapters"],
    io: "node-modules",
  },
  sim: { mayImport: ["ports", "core", "shells", "client", "wire", "values", "kernel"], io: "none" },
  apps: { mayImport: ["shells", "sdk", "adapters", "kernel"], io: "all" },
  tests: {
    mayImport: [
      "kernel",
      "values",
      "core",
      "ports",
      "wire",
      "client",
      "shells",
      "adapters",
      "sdk",
      "sim",
      "apps",
      "tests",
    ],
    io: "all",
  },
};

/** The only packages that use a package from npm, and which. A name here appears in one place, so replacing it touches one folder. */
export const npmUsers: Readonly<Record<string, readonly string[]>> = {
  "@heddle/wire": ["@bufbuild/protobuf"],
  "@heddle/adapter-grpc": ["@grpc/grpc-js", "@grpc/proto-loader", "@grpc/reflection", "grpc-health-check"],
  "@heddle/adapter-ship": ["@jridgewell/remapping", "acorn", "esbuild", "eslint-scope", "magic-string"],
  "@heddle/adapter-certificates": ["@peculiar/x509", "reflect-metadata"],
  "@heddle/adapter-http": ["prom-client"],
  "@heddle/app-cli": ["commander", "yaml"],
};

/** Members of globals that bring in time or chance unseen; biome's noRestrictedGlobals knows the globals that are forbidden whole. */
export const hiddenInputs: Readonly<Record<string, readonly string[]>> = {
  Math: ["random"],
  crypto: ["randomUUID", "getRandomValues"],
  AbortSignal: ["timeout"],
  globalThis: ["Date", "Math", "crypto", "performance", "process", "setTimeout", "setInterval", "setImmediate"],
};

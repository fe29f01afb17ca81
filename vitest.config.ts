import { fileURLToPath } from "node:url";
import { defineConfig } from "vitest/config";

// Tests start hundreds of servers and workers from their sources, which is most of their time: what V8 made of a source once serves the next process.
process.env.NODE_COMPILE_CACHE ??= fileURLToPath(new URL("node_modules/.cache/compiled", import.meta.url));

export default defineConfig({
  // Workspace packages resolve to their sources, so tests need no build.
  resolve: { conditions: ["@heddle/source"] },
  ssr: { resolve: { conditions: ["@heddle/source", "node", "import", "default"] } },
  test: {
    include: ["{libs,apps,tests,tools,examples}/**/*.test.ts"],
    exclude: ["**/node_modules/**", "**/dist/**"],
    pool: "forks", // what is tested forks processes and opens sockets: worker threads would share them
    maxWorkers: 2,
    testTimeout: 30_000,
    hookTimeout: 30_000,
    reporters: ["default", "./tools/plain-reporter.mjs"],
  },
});

import { defineConfig } from "vitest/config";

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

export { TestDisk } from "@heddle/kernel/testing";

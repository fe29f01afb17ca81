export { classOf, described, withArticle } from "@heddle/kernel";

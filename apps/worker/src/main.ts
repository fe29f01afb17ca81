/** A worker process. Its agent starts it, with the descriptors that it expects; nobody else can. */
import "heddle/worker";

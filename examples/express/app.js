const express = require("express");

const app = express();
const port = Number(process.env.PORT || 3000);

app.get("/", (request, response) => {
  response.send("Hello from Express, with nothing around it.\n");
});

app.get("/health", (request, response) => {
  response.json({ status: "ok", node: process.version, user: process.getuid() });
});

const server = app.listen(port, "0.0.0.0", (error) => {
  if (error) throw error;
  console.log(`listening on port ${port}`);
});

// As the only process of its container it gets no default handlers: without these, `stop` would wait, then kill.
for (const signal of ["SIGTERM", "SIGINT"]) {
  process.on(signal, () => {
    server.close(() => process.exit(0));
    server.closeIdleConnections();
  });
}

// The same as app.py, as Node runs it where nobody thought of signals: as process 1 it never hears SIGTERM.
const http = require("node:http");
const net = require("node:net");

const WORKS_FOR = 1000 * Number(process.env.WORKS_FOR); // milliseconds that a write takes
const KEEPS = 1000 * Number(process.env.KEEPS); // milliseconds that an idle connection is kept

function redis(...words) {
  return new Promise((resolve, reject) => {
    const parts = words.map((word) => `$${Buffer.byteLength(word)}\r\n${word}\r\n`);
    const connection = net.connect(6379, "redis", () => connection.write(`*${words.length}\r\n${parts.join("")}`));
    let said = "";
    connection.on("error", reject);
    connection.on("data", (data) => {
      said += data;
      const lines = said.split("\r\n").slice(0, -1);
      const wanted = said[0] === "*" ? 1 + 2 * Number(said.slice(1, said.indexOf("\r"))) : 1;
      if (lines.length >= wanted) {
        connection.end();
        resolve(lines.filter((line, place) => place > 0 && place % 2 === 0));
      }
    });
  });
}

async function answer(request, body) {
  const user = (request.headers.cookie || "").replace("user=", "");
  const said = new URLSearchParams(body);
  if (request.url === "/healthz") {
    await redis("PING");
    return [{}, {}];
  }
  if (request.url === "/login") return [{}, { "Set-Cookie": `user=${said.get("user")}; Path=/` }];
  if (request.method === "GET") return [{ items: (await redis("SMEMBERS", user)).sort() }, {}];
  await new Promise((resolve) => setTimeout(resolve, WORKS_FOR));
  await redis("SADD", user, said.get("item"));
  return [{}, {}];
}

http
  .createServer((request, response) => {
    let body = "";
    request.on("data", (data) => (body += data));
    request.on("end", async () => {
      try {
        const [told, headers] = await answer(request, body);
        response.writeHead(200, { "Content-Type": "application/json", ...headers }).end(JSON.stringify(told));
      } catch (error) {
        response.writeHead(503).end(String(error));
      }
    });
  })
  .listen(8000).keepAliveTimeout = KEEPS;

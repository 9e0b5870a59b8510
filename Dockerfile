# The whole of npm's packages, to build the web client, and then without those that only development needs.
FROM node:24-trixie-slim AS build
WORKDIR /parley
COPY package.json package-lock.json .npmrc ./
RUN npm ci --omit=dev
COPY server ./server
COPY client ./client
COPY scripts ./scripts
RUN node scripts/buildClient.ts

FROM node:24-trixie-slim
ENV NODE_ENV=production HOST=0.0.0.0 DATABASE_URL=sqlite:/data/parley.db
WORKDIR /parley
COPY --from=build /parley ./
# What is not in a volume belongs to root: the server can change nothing but its data.
RUN install -d -o node -g node /data
USER node
VOLUME /data
EXPOSE 4000
HEALTHCHECK --interval=5s --timeout=3s --start-period=30s \
  CMD ["node", "-e", "fetch('http://127.0.0.1:4000/health/ready').then(({ ok }) => process.exit(ok ? 0 : 1), () => process.exit(1))"]
# Not by npm, so that SIGTERM reaches the server, which is given the 30 s that running answers may take and more.
STOPSIGNAL SIGTERM
CMD ["node", "server/main.ts"]

/* Read ARCHIVE...: Java reads every member of each archive twice: java.util.zip.ZipFile by the central directory, ZipInputStream from the
 * first byte to the last, by the local headers alone. Both have to see the same members and the same bytes. Their number is printed. */
import java.io.BufferedInputStream;
import java.io.FileInputStream;
import java.io.IOException;
import java.io.InputStream;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.zip.CRC32;
import java.util.zip.ZipEntry;
import java.util.zip.ZipFile;
import java.util.zip.ZipInputStream;

class Read {
    private static long bytes;

    private static long crc(InputStream stream) throws IOException {
        CRC32 crc = new CRC32();
        byte[] piece = new byte[1 << 16];
        for (int got; (got = stream.read(piece)) > 0; bytes += got)
            crc.update(piece, 0, got);
        return crc.getValue();
    }

    private static Map<String, Long> byDirectory(String path) throws IOException {
        Map<String, Long> members = new LinkedHashMap<>();
        try (ZipFile archive = new ZipFile(path)) {
            for (ZipEntry member : (Iterable<ZipEntry>) archive.stream().map(m -> (ZipEntry) m)::iterator) {
                long crc = crc(archive.getInputStream(member));
                if (crc != member.getCrc() || members.put(member.getName(), crc) != null)
                    throw new IOException(path + ": " + member.getName());
            }
        }
        return members;
    }

    private static Map<String, Long> byStream(String path) throws IOException {
        Map<String, Long> members = new LinkedHashMap<>();
        try (ZipInputStream archive = new ZipInputStream(new BufferedInputStream(new FileInputStream(path)))) {
            for (ZipEntry member; (member = archive.getNextEntry()) != null;)
                if (members.put(member.getName(), crc(archive)) != null)
                    throw new IOException(path + ": " + member.getName() + " twice");
        }
        return members;
    }

    public static void main(String[] paths) throws IOException {
        for (String path : paths) {
            bytes = 0;
            Map<String, Long> members = byDirectory(path);
            long once = bytes;
            if (!members.equals(byStream(path)) || bytes != 2 * once)
                throw new IOException(path + ": the directory and the stream differ");
            System.out.println(members.size() + " " + once);
        }
    }
}
